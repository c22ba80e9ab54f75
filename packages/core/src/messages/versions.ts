import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import type { MessageContext } from './message-context.js';

/**
 * Brings a payload from one version to the next. It gets the plain payload, as the serializer has read it and nobody has
 * checked it, and answers with a plain object; it must not wait for anything. What it throws sets the message aside.
 */
export type Upcaster = (payload: Record<string, unknown>, context: MessageContext) => object;

/**
 * What becomes of a message whose version is newer than the class of its event: `reject` sets it aside as a dead letter,
 * `accept` reads it as the version of the class (all rules still apply), `ignore` acknowledges it with a warning.
 */
export type NewerVersionPolicy = 'reject' | 'accept' | 'ignore';

const POLICIES: readonly unknown[] = ['reject', 'accept', 'ignore'] satisfies NewerVersionPolicy[];

/** The part of an event's declaration that versions are about. */
export interface VersionedEvent {
  readonly name: string;
  readonly version: number;
  /** By the version that each starts from, without gaps up to the current one. */
  readonly upcasters: ReadonlyMap<number, Upcaster>;
}

export function isNewerVersionPolicy(value: unknown): value is NewerVersionPolicy {
  return POLICIES.includes(value);
}

/** The oldest version that can still be read. */
export function oldestVersionOf({ version, upcasters }: VersionedEvent): number {
  return Math.min(version, ...upcasters.keys());
}

/** What is wrong with the upcasters of an event; JavaScript callers can give anything. */
export function upcasterFaults(version: number, upcasters: unknown): string[] {
  if (upcasters === undefined) return [];
  if (typeof upcasters !== 'object' || upcasters === null)
    return ['upcasters must be an object of functions by version'];
  const faults: string[] = [];
  for (const [from, upcaster] of Object.entries(upcasters)) {
    if (!/^[1-9]\d*$/.test(from) || Number(from) >= version)
      faults.push(`upcasters has ${from}, but the versions before ${version} are integers from 1`);
    else if (typeof upcaster !== 'function') faults.push(`upcasters[${from}] must be a function`);
  }
  if (faults.length > 0) return faults;
  const froms = Object.keys(upcasters).map(Number);
  for (let from = Math.min(version, ...froms); from < version; from++) {
    if (!froms.includes(from))
      faults.push(`upcasters has none from ${from} to ${from + 1}, so that older payloads can't be read`);
  }
  return faults;
}

/**
 * Brings a payload to the current version, one version after another.
 *
 * @throws {@link CqrsOutboxError} with code `MESSAGE_REJECTED` for an upcaster that throws or answers with no object
 */
export function upcast(
  { name, version, upcasters }: VersionedEvent,
  payload: object,
  context: MessageContext,
): object {
  let current = payload;
  for (let from = context.version; from < version; from++) {
    const step = `the upcaster of ${name} from version ${from} to ${from + 1}`;
    const upcaster = upcasters.get(from);
    if (!upcaster) throw new CqrsOutboxError('MESSAGE_REJECTED', `${step} is missing`);
    let next: unknown;
    try {
      next = upcaster(current as Record<string, unknown>, context);
    } catch (cause) {
      throw new CqrsOutboxError('MESSAGE_REJECTED', `${step} failed: ${messageOf(cause)}`, { cause });
    }
    const fault = resultFault(next);
    if (fault !== undefined) throw new CqrsOutboxError('MESSAGE_REJECTED', `${step} answered with ${fault}`);
    current = next as object;
  }
  return current;
}

function resultFault(result: unknown): string | undefined {
  if (result === undefined || result === null) return String(result);
  if (Array.isArray(result)) return 'an array';
  if (typeof result !== 'object') return `a ${typeof result}`;
  if (result instanceof Promise) {
    // Nobody waits for it: its failure would end the process.
    result.catch(() => undefined);
    return 'a promise, which is not waited for';
  }
  return Object.prototype.toString.call(result) === '[object Object]' ? undefined : 'no plain object';
}
