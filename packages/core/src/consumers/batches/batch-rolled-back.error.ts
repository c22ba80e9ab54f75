/**
 * A handler was run together with those of other messages, and one of them, it is not said which, has failed: none has had
 * an effect on the database. No failure of the message: it is tried again at once, alone.
 */
export class BatchRolledBackError extends Error {
  constructor(cause: unknown) {
    super('The transaction that it shared with other messages was rolled back: it is handled again, alone.', {
      cause,
    });
    this.name = BatchRolledBackError.name;
  }
}
