import { Constructible } from './constructible.js';

declare const resultType: unique symbol;

/** A command or a query: a request that exactly one handler answers with an `R`. */
export abstract class Request<R = unknown> extends Constructible {
  /** Exists for the type checker only. */
  declare readonly [resultType]?: R;
}

/**
 * A request to change something, named in the imperative (`CloseMeeting`). Its handler runs inside a unit of work,
 * and its result has the type `R`.
 *
 * @example
 * class CloseMeeting extends Command<void> {
 *   @IsInt() @IsPositive() meetingId!: number;
 * }
 */
export abstract class Command<R = void> extends Request<R> {}

/**
 * A request to read something. Its handler runs in a fresh persistence context without a unit of work, and its result
 * has the type `R`.
 */
export abstract class Query<R = unknown> extends Request<R> {}

/** The result type that a command or query class carries. */
export type ResultOf<T> = T extends Request<infer R> ? R : never;
