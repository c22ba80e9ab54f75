import { Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { MessageContext } from '../messages/message-context.js';
import type { UnitOfWork } from '../unit-of-work/unit-of-work.js';
import { BatchRolledBackError } from './batches/batch-rolled-back.error.js';
import type { InboxBatches } from './batches/inbox-batches.js';
import { HandlerLimit } from './handler-limit.js';
import { describePair, type InboxPair, type InboxStore } from './inbox-store.js';

/** `together`: in one transaction with handlers of other messages. `alone`: in one of its own, when one is free. */
export type TransactionSharing = 'together' | 'alone';

/** @param isFirst whether the inbox row is new: otherwise there is nothing to do */
type Handle = (limit: HandlerLimit, isFirst: boolean) => Promise<unknown>;

/** In place of a result. */
const DUPLICATE = Symbol('cqrs-outbox:duplicate');

/**
 * The transactional step of an event handler: the inbox row first and then the handler, in one transaction. The row's
 * unique key makes a concurrent delivery of the same message wait, and lets one of the two commit.
 */
export class InboxStep {
  readonly #logger = new Logger('Inbox');
  /** Contexts of messages of which a handler was skipped, or has committed. */
  readonly #skipped = new WeakSet<MessageContext>();
  readonly #handled = new WeakSet<MessageContext>();
  /** And of those of which a handler was in a batch that was rolled back. */
  readonly #rolledBack = new WeakSet<MessageContext>();
  readonly #sharing = new WeakMap<MessageContext, TransactionSharing>();

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly inbox: InboxStore,
    private readonly batches: InboxBatches | undefined,
    private readonly options: ResolvedOptions,
  ) {}

  /** Says how the handlers of a message get their transactions; without it, each gets its own at once. */
  setSharing(context: MessageContext, sharing: TransactionSharing): void {
    this.#sharing.set(context, sharing);
  }

  /**
   * @throws {@link CqrsOutboxError} with code `HANDLER_TIMEOUT` after `consumer.handlerTimeoutMs`
   * @throws {@link BatchRolledBackError} when it is to be run again alone; an enhancer may make another error of it, or run it
   *   again itself, and so it is alone from then on: see {@link wasInRolledBackBatch}
   */
  async run(context: MessageContext, handler: string, proceed: () => Promise<unknown>): Promise<unknown> {
    const { messageId } = context;
    const handle: Handle = (limit, isFirst) => (isFirst ? limit.run(proceed) : Promise.resolve(DUPLICATE));
    const result = await this.transact(context, { messageId, handler }, handle);
    if (result !== DUPLICATE) {
      this.#handled.add(context);
      return result;
    }
    this.#skipped.add(context);
    this.#logger.debug(
      `${handler} has handled message ${messageId} already. Skipped (${context.coordinates}).`,
    );
    return undefined;
  }

  private transact(context: MessageContext, pair: InboxPair, handle: Handle): Promise<unknown> {
    const { batches } = this;
    // One that is sent in the middle of another would wait for the batch that it is in.
    const sharing = this.unitOfWork.current() ? undefined : this.#sharing.get(context);
    if (!batches || !sharing) return this.transactAlone(pair, handle);
    if (sharing === 'alone' || !this.unitOfWork.canBePart)
      return batches.alone((onCommitted) => this.transactAlone(pair, handle, onCommitted));
    return this.transactTogether(batches, context, pair, handle);
  }

  private async transactTogether(
    batches: InboxBatches,
    context: MessageContext,
    pair: InboxPair,
    handle: Handle,
  ): Promise<unknown> {
    try {
      return await batches.together(pair, handle);
    } catch (error) {
      if (error instanceof BatchRolledBackError) {
        this.#rolledBack.add(context);
        this.#sharing.set(context, 'alone');
      }
      throw error;
    }
  }

  private transactAlone(pair: InboxPair, handle: Handle, onCommitted?: () => void): Promise<unknown> {
    const limit = new HandlerLimit(() => describePair(pair), this.options.consumer.handlerTimeoutMs);
    const stop = (): void => {
      limit.stop();
      onCommitted?.();
    };
    const options = { signal: limit.signal, onCommitted: stop };
    const work = async (): Promise<unknown> => {
      limit.signal.throwIfAborted();
      return await handle(limit, await this.inbox.recordIfNew(pair, limit.signal));
    };
    return limit.watch(() => this.unitOfWork.runInTransaction(work, options));
  }

  /** Whether all handlers that were run with this context were skipped, since they had handled its message before. */
  isDuplicate(context: MessageContext): boolean {
    return this.#skipped.has(context) && !this.#handled.has(context);
  }

  /** Whether one of its handlers has had no effect for what another message has failed for. */
  wasInRolledBackBatch(context: MessageContext): boolean {
    return this.#rolledBack.has(context);
  }
}
