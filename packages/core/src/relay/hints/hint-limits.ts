import type { BackoffOptions } from '../failures/backoff.js';

/** The pause between two hints that are sent, and between two looks at what was heard, in milliseconds. */
export const HINT_PAUSE_MS = 5;

/** After a failure to send or to listen. */
export const HINT_BACKOFF: BackoffOptions = { minBackoffMs: 100, maxBackoffMs: 5_000 };
