import { Injectable } from '@nestjs/common';
import { NoActiveUnitOfWorkError, UnitOfWorkRolledBackError } from '../cqrs-outbox.error.js';
import { ExecutionScope } from './execution-scope.js';
import { UnitOfWork } from './unit-of-work.js';

/** The transactional step of the pipeline: opens the unit of work of a command, or joins the one that is open. */
@Injectable()
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
   * @throws {@link UnitOfWorkRolledBackError} when a command that joined has failed and its error was caught: its
   *   changes can't be told from the others', so none of them is committed.
   * @throws {@link NoActiveUnitOfWorkError} for a command that a query sends while it reads through a transaction: the
   *   query's context is thrown away, and the command's changes would be lost with it.
   */
  run<T>(command: object, work: () => Promise<T>): Promise<T> {
    const current = this.unitOfWork.current();
    if (!current) return this.open(work);
    if (current !== this.scope.current.readOnly) return this.join(work);
    const what = `${command.constructor.name} can't be run`;
    return Promise.reject(new NoActiveUnitOfWorkError(what, 'it was sent by a query inside a transaction'));
  }

  private open<T>(work: () => Promise<T>): Promise<T> {
    const unitOfWork: { failure?: { cause: unknown } } = {};
    return this.scope.run({ unitOfWork, readOnly: undefined }, () =>
      this.unitOfWork.runInTransaction(async () => {
        const result = await work();
        if (unitOfWork.failure) throw new UnitOfWorkRolledBackError(unitOfWork.failure.cause);
        return result;
      }),
    );
  }

  private async join<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const { unitOfWork } = this.scope.current;
      if (unitOfWork) unitOfWork.failure ??= { cause };
      throw cause;
    }
  }
}
