import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import type {
  InboxDeadLetter,
  InboxDeadLetterContent,
  InboxDeadLetterPage,
  InboxDeadLetterSelection,
} from '../consumers/inbox-dead-letter.js';
import type { InboxStore } from '../consumers/inbox-store.js';
import type { UnitOfWork } from '../unit-of-work/unit-of-work.js';
import {
  checkedId,
  checkedLimit,
  checkedSelection,
  invalidSelection,
  narrowSelection,
} from './dead-letter-selection.js';
import { type InboxLetterRetry, whyIncomplete } from './inbox-letter-retry.js';

const SELECTABLE = ['deadLetterId', 'messageId', 'name', 'topic', 'key'] as const;
const ORDERS: readonly string[] = ['oldest first', 'newest first'] satisfies InboxDeadLetterPage['order'][];
/** How many are read at a time, to be retried or deleted. */
const PAGE_SIZE = 100;
/** How many failures a report tells of. */
const MAX_FAILURES = 100;

/** Conditions, all of which must hold. */
type Selection = Omit<InboxDeadLetterSelection, 'upTo'>;

/** What {@link InboxDeadLetters.list} can be asked for. */
export type InboxDeadLetterList = Partial<Omit<InboxDeadLetterPage, 'upTo'>>;

/** A dead letter that stays after its retry. */
export interface FailedLetter extends Pick<InboxDeadLetter, 'deadLetterId' | 'messageId' | 'name'> {
  readonly reason: string;
}

/** What became of a retry. */
export interface InboxRetryReport {
  /** How many were handled, and are deleted. */
  readonly handled: number;
  /** How many stay. */
  readonly failed: number;
  /** Of those the first 100, oldest first. */
  readonly failures: readonly FailedLetter[];
}

/**
 * The received messages that were set aside, for a person to decide on: after a fix (a new class, an upcaster, a repaired
 * handler) have them handled, or drop them. Nothing but this, and a retention time that is asked for, deletes one.
 */
export class InboxDeadLetters {
  constructor(
    private readonly store: InboxStore,
    private readonly letterRetry: InboxLetterRetry,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * Some of the dead letters, without their payloads. Outside of the caller's transaction.
   *
   * @param page by default the first 100 of all, oldest first; at most 1,000 at a time, further ones with `after`
   * @throws {@link CqrsOutboxError} with code `DEAD_LETTER_SELECTION` for a limit or an order that is none, and a
   *   condition that is no text
   */
  async list(page: InboxDeadLetterList = {}): Promise<InboxDeadLetter[]> {
    const { limit, after, order = 'oldest first', ...selection } = page;
    if (!ORDERS.includes(order)) throw invalidSelection(`order is ${order}, known are ${ORDERS.join(', ')}`);
    const part = { ...checked(selection), order, limit: checkedLimit(limit) };
    return this.store.listSetAside(
      after === undefined ? part : { ...part, after: checkedId('after', after) },
    );
  }

  /**
   * One dead letter with its payload: personal data, perhaps. Outside of the caller's transaction.
   *
   * @throws {@link CqrsOutboxError} with code `DEAD_LETTER_NOT_FOUND`, or `DEAD_LETTER_SELECTION` for what is no id
   */
  async read(deadLetterId: string): Promise<InboxDeadLetterContent> {
    const letter = await this.store.readSetAside(checkedId('deadLetterId', deadLetterId));
    return letter ?? notFound({ deadLetterId });
  }

  /** How many there are: of all, or of a selection. Errors as of {@link list}. */
  async count(selection: Selection = {}): Promise<number> {
    return this.store.countSetAside(checked(selection));
  }

  /**
   * Hands dead letters to the handlers of their events again, as a delivery does: one by its `deadLetterId`, or all of a
   * `messageId`, `name`, `topic` or `key`, oldest first, one after another. Each handler runs in a transaction of its
   * own with its inbox row; one that has handled the message before is skipped. A letter whose handlers have all
   * committed is deleted. One that fails again stays, with its new reason, and holds back no other.
   *
   * It takes those that are there at its beginning, and may run on several instances at the same time: each letter takes
   * effect once. A crash on the way leaves the rest for another call.
   *
   * @returns how many were handled, and which were not; those that another call has taken meanwhile are neither
   * @throws {@link CqrsOutboxError} with code
   *   - `DEAD_LETTER_NOT_FOUND` when there is none with the given `deadLetterId` or `messageId`,
   *   - `DEAD_LETTER_SELECTION` when nothing is selected; {@link retryAll} is for all,
   *   - `DEAD_LETTER_INCOMPLETE` for the one with the given `deadLetterId`, when it was cut as it was stored; of several,
   *     such letters are among the failures,
   *   - `DEAD_LETTER_IN_TRANSACTION` inside an open transaction: handlers would commit or vanish with it
   *
   *   The store's error passes as it is: what was not reached is as it was.
   */
  async retry(selection: Selection): Promise<InboxRetryReport> {
    const part = narrow(selection);
    this.refuseTransaction();
    if (part.deadLetterId !== undefined) await this.refuseIncomplete(part.deadLetterId);
    const report = await this.retryEach(part);
    if (report.handled + report.failed === 0) refuseMissing(part);
    return report;
  }

  /** Retries all dead letters, as {@link retry} does. */
  async retryAll(): Promise<InboxRetryReport> {
    this.refuseTransaction();
    return this.retryEach({});
  }

  /**
   * Deletes dead letters, which are then lost. Outside of the caller's transaction, 100 at a time.
   *
   * @returns how many
   * @throws {@link CqrsOutboxError} with code `DEAD_LETTER_NOT_FOUND` or `DEAD_LETTER_SELECTION`, as {@link retry} does
   */
  async discard(selection: Selection): Promise<number> {
    const part = narrow(selection);
    let count = 0;
    for await (const letters of this.pages(part))
      count += await this.store.deleteSetAside(letters.map(({ deadLetterId }) => deadLetterId));
    if (count === 0) refuseMissing(part);
    return count;
  }

  private async retryEach(selection: Selection): Promise<InboxRetryReport> {
    const failures: FailedLetter[] = [];
    const count = { handled: 0, failed: 0, gone: 0 };
    for await (const letters of this.pages(selection)) {
      for (const { deadLetterId, messageId, name } of letters) {
        const outcome = await this.letterRetry.run(deadLetterId);
        count[outcome.status]++;
        if (outcome.status === 'failed' && failures.length < MAX_FAILURES)
          failures.push({ deadLetterId, messageId, name, reason: outcome.reason });
      }
    }
    return { handled: count.handled, failed: count.failed, failures };
  }

  /** Oldest first, as far as there are now: what is set aside meanwhile is for the next time. */
  private async *pages(selection: Selection): AsyncGenerator<InboxDeadLetter[]> {
    const [newest] = await this.store.listSetAside({ ...selection, order: 'newest first', limit: 1 });
    if (!newest) return;
    const rest = {
      ...selection,
      upTo: newest.deadLetterId,
      order: 'oldest first',
      limit: PAGE_SIZE,
    } as const;
    for (let after = '0'; ;) {
      const letters = await this.store.listSetAside({ ...rest, after });
      const last = letters.at(-1);
      if (!last) return;
      yield letters;
      after = last.deadLetterId;
    }
  }

  private refuseTransaction(): void {
    if (!this.unitOfWork.current()) return;
    throw new CqrsOutboxError(
      'DEAD_LETTER_IN_TRANSACTION',
      'Dead letters of the inbox can not be retried inside a transaction: what their handlers do would vanish with it, ' +
        'and the letters would be gone. Call it outside of command handlers and em.transactional().',
    );
  }

  private async refuseIncomplete(deadLetterId: string): Promise<void> {
    const [letter] = await this.store.listSetAside({ deadLetterId, order: 'oldest first', limit: 1 });
    if (!letter || letter.incompleteParts.length === 0) return;
    throw new CqrsOutboxError(
      'DEAD_LETTER_INCOMPLETE',
      `The dead letter ${deadLetterId} of message ${letter.messageId ?? '(no id)'} can't be retried: ` +
        `${whyIncomplete(letter)}.`,
    );
  }
}

function checked(selection: Selection): Selection {
  return withCheckedId(checkedSelection(selection, SELECTABLE));
}

function narrow(selection: Selection): Selection {
  return withCheckedId(narrowSelection(selection, SELECTABLE));
}

function withCheckedId(selection: Selection): Selection {
  if (selection.deadLetterId !== undefined) checkedId('deadLetterId', selection.deadLetterId);
  return selection;
}

/** None was found; for an id that is an error. */
function refuseMissing({ deadLetterId, messageId }: Selection): void {
  if (deadLetterId !== undefined || messageId !== undefined) notFound({ deadLetterId, messageId });
}

function notFound({ deadLetterId, messageId }: { deadLetterId?: string; messageId?: string }): never {
  const which = deadLetterId === undefined ? `of message ${messageId}` : `with the id ${deadLetterId}`;
  throw new CqrsOutboxError(
    'DEAD_LETTER_NOT_FOUND',
    `There is no dead letter ${which} in the inbox: it was handled or discarded already, or the id is wrong.`,
  );
}
