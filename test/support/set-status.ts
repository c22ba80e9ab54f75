import { Command, CommandHandler, Outbox, type RequestHandler } from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { Order, OrderState } from './orders.ts';

/** Changes an order, and tells of it. */
export class SetStatus extends Command {
  status!: string;
  events!: number;
}

@CommandHandler(SetStatus)
export class SetStatusHandler implements RequestHandler<SetStatus> {
  /** Beside that, in its transaction; tests put their own in its place. */
  static alsoDo: (em: SqlEntityManager) => Promise<unknown> = async () => undefined;

  constructor(
    private readonly em: EntityManager,
    private readonly outbox: Outbox,
  ) {}

  async execute({ status, events }: SetStatus): Promise<void> {
    const order = await this.em.findOneOrFail(Order, 1);
    order.status = status;
    for (let event = 0; event < events; event += 1) this.outbox.append(OrderState.of({ orderId: 1, status }));
    await SetStatusHandler.alsoDo(this.em as SqlEntityManager);
  }
}
