/**
 * When a handler of a domain event runs.
 *
 * - `before-commit`: inside the transaction that recorded the event, as a part of it. One that fails rolls it back.
 * - `after-commit`: best effort, when that transaction has committed, in a fresh persistence context outside of any
 *   transaction. One that fails is logged, and neither undoes nor rejects anything. A crash between the commit and the
 *   handler loses it.
 */
export type HandlingPhase = 'before-commit' | 'after-commit';

export const HANDLING_PHASES: readonly HandlingPhase[] = ['before-commit', 'after-commit'];
