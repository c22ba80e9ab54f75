import {
  Command,
  CommandHandler,
  IntegrationEvent,
  NotificationEvent,
  Outbox,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { EntityManager as SqlEntityManager } from '@mikro-orm/sql';
import type { Provider } from '@nestjs/common';
import { INSERT, rowOf, TEXT } from './insert-by-hand.ts';
import { Shelf } from './shelf.ts';

export class BookAdded extends NotificationEvent {
  shelfId!: number;
  text!: string;
}

/** Loads a shelf, changes it, and appends as many events. */
export class AddBook extends Command {
  shelfId!: number;
  events!: number;
}

/** The same with an INSERT of the row by hand, as one would write it without the outbox. */
export class AddBookByHand extends Command {
  shelfId!: number;
}

class AddBookHandler implements RequestHandler<AddBook> {
  readonly #em: EntityManager;
  readonly #outbox: Outbox;

  constructor(em: EntityManager, outbox: Outbox) {
    this.#em = em;
    this.#outbox = outbox;
  }

  async execute({ shelfId, events }: AddBook): Promise<void> {
    const shelf = await this.#em.findOneOrFail(Shelf, shelfId);
    shelf.books += 1;
    for (let event = 0; event < events; event += 1)
      this.#outbox.append(BookAdded.of({ shelfId, text: TEXT }));
  }
}

class AddBookByHandHandler implements RequestHandler<AddBookByHand> {
  readonly #em: SqlEntityManager;

  constructor(em: SqlEntityManager) {
    this.#em = em;
  }

  async execute({ shelfId }: AddBookByHand): Promise<void> {
    const shelf = await this.#em.findOneOrFail(Shelf, shelfId);
    shelf.books += 1;
    await this.#em.execute(INSERT, rowOf(shelfId));
  }
}

// Decorators are called by hand: Node runs these sources without a build.
IntegrationEvent<BookAdded>({
  name: 'bench.book-added',
  topic: 'bench',
  key: ({ shelfId }) => `shelf-${shelfId}`,
})(BookAdded);
CommandHandler(AddBook)(AddBookHandler);
CommandHandler(AddBookByHand)(AddBookByHandHandler);

export const commandHandlers: Provider[] = [
  {
    provide: AddBookHandler,
    useFactory: (em: EntityManager, outbox: Outbox) => new AddBookHandler(em, outbox),
    inject: [EntityManager, Outbox],
  },
  {
    provide: AddBookByHandHandler,
    useFactory: (em: SqlEntityManager) => new AddBookByHandHandler(em),
    inject: [EntityManager],
  },
];
