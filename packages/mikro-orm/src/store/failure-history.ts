import type { FailedAttempt } from '@cqrs-outbox/core';
import { printable } from './printable-text.js';

/** How many refusals of an entry are kept: the last ones. */
const MAX_HISTORY_LENGTH = 20;
/** What is kept of each one's text. */
const MAX_ERROR_LENGTH = 500;

/** A refusal as the column has it. */
interface HistoryItem {
  /** 1 for the first refusal of the entry. */
  readonly attempt: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly error: string;
}

/**
 * The column `history` after one more refusal. Recording the same one again replaces it.
 *
 * @param before the column now, how many refusals the caller knows of, and the time by the database's clock
 */
export function addToHistory(
  before: { readonly json: string | null; readonly attempts: number; readonly at: Date },
  error: string,
): string {
  const known = parseItems(before.json).filter(({ attempt }) => attempt <= before.attempts);
  const added = {
    attempt: before.attempts + 1,
    at: before.at.getTime(),
    error: printable(error, MAX_ERROR_LENGTH),
  };
  return JSON.stringify([...known, added].slice(-MAX_HISTORY_LENGTH));
}

/** What the column tells. */
export function readHistory(json: string | null): FailedAttempt[] {
  return parseItems(json).map(({ at, error }) => ({ at: new Date(at), error }));
}

/** Nothing for rows of version 1, and for what hands have made unreadable. */
function parseItems(json: string | null): HistoryItem[] {
  try {
    const items: unknown = JSON.parse(json ?? '[]');
    return Array.isArray(items) ? items.filter(isItem) : [];
  } catch {
    return [];
  }
}

function isItem(item: unknown): item is HistoryItem {
  const { attempt, at, error } = (item ?? {}) as Partial<HistoryItem>;
  return typeof attempt === 'number' && typeof at === 'number' && typeof error === 'string';
}
