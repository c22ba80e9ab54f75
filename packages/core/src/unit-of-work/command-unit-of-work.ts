import { NoActiveUnitOfWorkError } from '../cqrs-outbox.error.js';
import type { ExecutionScope } from './execution-scope.js';
import type { PendingEvents } from './pending-events.js';
import type { UnitOfWork } from './unit-of-work.js';

/** The transactional step of the pipeline: opens the unit of work of a command, or joins the one that is open. */
export class CommandUnitOfWork {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly scope: ExecutionScope,
  ) {}

  /** Whether a command sent now would join. */
  get isOpen(): boolean {
    return this.unitOfWork.current() !== undefined;
  }

  /**
   * A command that has joined and fails keeps all of it from committing, also when its error was caught: the commit then
   * rejects with {@link UnitOfWorkRolledBackError}.
   *
   * @throws {@link NoActiveUnitOfWorkError} for a command that a query sends while it reads through a transaction: the
   *   query's context is thrown away, and the command's changes would be lost with it.
   */
  run<T>(command: object, work: () => Promise<T>): Promise<T> {
    const current = this.unitOfWork.current();
    if (!current)
      return this.scope.run({ readOnly: undefined }, () => this.unitOfWork.runInTransaction(work));
    if (current !== this.scope.current.readOnly) return join(current, work);
    const what = `${command.constructor.name} can't be run`;
    return Promise.reject(new NoActiveUnitOfWorkError(what, 'it was sent by a query inside a transaction'));
  }
}

/** A failure that the caller catches must not commit what was done until then. */
async function join<T>(pending: PendingEvents, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    pending.markFailed(cause);
    throw cause;
  }
}
