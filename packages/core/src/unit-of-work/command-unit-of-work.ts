import { Injectable } from '@nestjs/common';
import { UnitOfWorkRolledBackError } from '../cqrs-outbox.error.js';
import { ExecutionScope } from './execution-scope.js';
import { UnitOfWork } from './unit-of-work.js';

/** The transactional step of the pipeline: opens the unit of work of a command, or joins the one that is open. */
@Injectable()
export class CommandUnitOfWork {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly scope: ExecutionScope,
  ) {}

  /** Whether a command sent now would join. A read-only query's transaction is not joined by accident. */
  get isOpen(): boolean {
    return this.unitOfWork.current() !== undefined;
  }

  /**
   * @throws {@link UnitOfWorkRolledBackError} when a command that joined has failed and its error was caught: its
   *   changes can't be told from the others', so none of them is committed.
   */
  run<T>(work: () => Promise<T>): Promise<T> {
    return this.isOpen ? this.join(work) : this.open(work);
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
