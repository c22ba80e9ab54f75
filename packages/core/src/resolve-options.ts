import type { InjectionToken } from '@nestjs/common';
import { CronTime } from 'cron';
import { messageOf } from './cqrs-outbox.error.js';
import { resolveConsumer } from './consumers/resolve-consumer.js';
import type { CqrsOutboxOptions, ResolvedOptions, TransportOption } from './cqrs-outbox.options.js';
import {
  DEFAULT_THRESHOLD_BYTES,
  type CompressionOptions,
  type ResolvedCompressionOptions,
} from './messages/compression/compression.options.js';
import { Compressor } from './messages/compression/compressor.js';
import { compressorFaults } from './messages/compression/compressor-faults.js';
import { MAX_NAME_LENGTH } from './messages/integration-event.decorator.js';
import { integerFault, isRecord, sectionFaults, unknownKeys, withoutUndefined } from './option-faults.js';
import { MAX_SLOT_COUNT } from './outbox/slots.js';
import { MAX_TIMER_MS } from './relay/relay-clock.js';
import {
  HOUSEKEEPING_DEFAULTS,
  type HousekeepingOptions,
  type ResolvedHousekeepingOptions,
} from './operations/housekeeping.options.js';
import { CommitHints } from './relay/hints/commit-hints.js';
import { RELAY_DEFAULTS, type RelayOptions, type ResolvedRelayOptions } from './relay/relay.options.js';
import { Transport } from './transports/transport.js';

/** The name of the only destination of an application that names none. */
const DEFAULT_DESTINATION = 'default';
const DEFAULT_MAX_PAYLOAD_BYTES = 900 * 1024;
const MAX_BATCH_SIZE = 5_000;
/** Under that, the statements that renew a lease would be the database's main work. */
const MIN_LEASE_MS = 500;
const MAX_LEASE_MS = 10 * 60 * 1_000;
const DEFAULT_SLOTS = 16;

const KNOWN = {
  options: [
    'source',
    'transport',
    'relay',
    'commitHints',
    'validation',
    'maxPayloadBytes',
    'slots',
    'strictOrder',
    'tracing',
    'housekeeping',
    'events',
    'serializer',
    'compression',
    'consumer',
    'onStartup',
    'interceptors',
    'guards',
    'filters',
  ],
  relay: Object.keys(RELAY_DEFAULTS),
  validation: ['whitelist', 'forbidNonWhitelisted'],
  compression: ['compressor', 'thresholdBytes'],
  housekeeping: Object.keys(HOUSEKEEPING_DEFAULTS),
};

/** Adds the defaults, and lists every fault instead of throwing at the first. */
export function resolveOptions(given: CqrsOutboxOptions): ResolvedOptions {
  const faults: string[] = [];
  const options = isRecord(given) ? given : ({} as CqrsOutboxOptions);
  if (!isRecord(given)) faults.push('forRoot needs an object of options');
  faults.push(...unknownKeys(options, KNOWN.options, ''));
  if (
    typeof options.source !== 'string' ||
    options.source.trim() === '' ||
    options.source.length > MAX_NAME_LENGTH
  ) {
    faults.push(
      `source: give the application's name, such as 'meetings-service', in at most ${MAX_NAME_LENGTH} characters`,
    );
  }
  const maxPayloadBytes = options.maxPayloadBytes ?? DEFAULT_MAX_PAYLOAD_BYTES;
  faults.push(...integerFault('maxPayloadBytes', maxPayloadBytes, 1, 1024 ** 3));
  const slots = options.slots ?? DEFAULT_SLOTS;
  faults.push(...integerFault('slots', slots, 1, MAX_SLOT_COUNT));
  const strictOrder: unknown = options.strictOrder ?? false;
  if (typeof strictOrder !== 'boolean') faults.push('strictOrder must be true or false');
  const tracing: unknown = options.tracing ?? true;
  if (typeof tracing !== 'boolean') faults.push('tracing must be true or false');
  const transports = resolveTransports(options.transport, faults);
  return {
    source: options.source,
    transports,
    defaultDestination: defaultOf(transports),
    relay: resolveRelay(options.relay, faults),
    commitHints: resolveCommitHints(options.commitHints, faults),
    validation: resolveSection('validation', options.validation, faults),
    maxPayloadBytes,
    slots,
    strictOrder: strictOrder === true,
    tracing: tracing === true,
    housekeeping: resolveHousekeeping(options.housekeeping, faults),
    compression: resolveCompression(options.compression, faults),
    events: resolveList('events', options.events, faults),
    consumer: resolveConsumer(options, transports, faults),
    enhancers: {
      interceptors: resolveList('interceptors', options.interceptors, faults),
      guards: resolveList('guards', options.guards, faults),
      filters: resolveList('filters', options.filters, faults),
    },
    onStartup: resolveList('onStartup', options.onStartup, faults),
    faults,
  };
}

function resolveTransports(
  given: CqrsOutboxOptions['transport'],
  faults: string[],
): Map<string, TransportOption> {
  if (isTransportOption(given)) return new Map([[DEFAULT_DESTINATION, given]]);
  const entries = isRecord(given) ? Object.entries(given) : [];
  if (entries.length === 0) {
    faults.push(
      'transport: give Nest client options, the token of a ClientProxy, or a record of several by name',
    );
  }
  for (const [name, option] of entries) {
    if (!isTransportOption(option))
      faults.push(`transport.${name}: neither client options, nor a token, nor a Transport`);
    if (name.length > 64) faults.push(`transport.${name}: a destination's name has at most 64 characters`);
  }
  return new Map(entries);
}

/** Nest's options have `transport` (a number) or `customClass`; a record of several has neither under those names. */
function isTransportOption(value: unknown): value is TransportOption {
  if (isToken(value)) return true;
  if (value instanceof Transport) return true;
  return (
    isRecord(value) && (typeof value['transport'] === 'number' || typeof value['customClass'] === 'function')
  );
}

function isToken(value: unknown): value is InjectionToken {
  return ['string', 'symbol', 'function'].includes(typeof value) && value !== '';
}

function defaultOf(transports: ReadonlyMap<string, TransportOption>): string {
  const [only] = transports.keys();
  return transports.size === 1 && only !== undefined ? only : DEFAULT_DESTINATION;
}

function resolveRelay(
  given: RelayOptions | false | undefined,
  faults: string[],
): ResolvedRelayOptions | false {
  if (given === false) return false;
  const relay = { ...RELAY_DEFAULTS, ...withoutUndefined(given) };
  faults.push(...sectionFaults('relay', given, KNOWN.relay));
  faults.push(
    ...integerFault('relay.batchSize', relay.batchSize, 1, MAX_BATCH_SIZE),
    ...integerFault('relay.publishTimeoutMs', relay.publishTimeoutMs, 1, MAX_TIMER_MS),
    ...integerFault('relay.storeTimeoutMs', relay.storeTimeoutMs, 1, MAX_TIMER_MS),
    ...integerFault('relay.leaseMs', relay.leaseMs, MIN_LEASE_MS, MAX_LEASE_MS),
    ...integerFault('relay.maxAttempts', relay.maxAttempts, 1, 1_000_000),
    ...integerFault('relay.minBackoffMs', relay.minBackoffMs, 1, MAX_TIMER_MS),
    ...integerFault('relay.maxBackoffMs', relay.maxBackoffMs, 1, MAX_TIMER_MS),
    ...integerFault('relay.drainTimeoutMs', relay.drainTimeoutMs, 0, MAX_TIMER_MS),
  );
  if (relay.minBackoffMs > relay.maxBackoffMs)
    faults.push('relay.minBackoffMs is greater than relay.maxBackoffMs');
  try {
    new CronTime(relay.cron);
  } catch (error) {
    faults.push(`relay.cron: ${JSON.stringify(relay.cron)} is no cron expression: ${messageOf(error)}`);
  }
  return relay;
}

function resolveCommitHints(
  given: CqrsOutboxOptions['commitHints'],
  faults: string[],
): InjectionToken | CommitHints | undefined {
  if (given === undefined || given === false) return undefined;
  if (given === true) return CommitHints;
  if (given instanceof CommitHints || isToken(given)) return given;
  faults.push('commitHints: give true or false, CommitHints, or their token');
  return undefined;
}

function resolveCompression(
  given: CompressionOptions | undefined,
  faults: string[],
): ResolvedCompressionOptions | undefined {
  if (given === undefined) return undefined;
  faults.push(...sectionFaults('compression', given, KNOWN.compression));
  if (!isRecord(given)) return undefined;
  const { compressor, thresholdBytes = DEFAULT_THRESHOLD_BYTES } = given as CompressionOptions;
  faults.push(
    ...compressorFaults('compression.compressor', compressor),
    ...integerFault('compression.thresholdBytes', thresholdBytes, 0, 1024 ** 3),
  );
  return compressor instanceof Compressor ? { compressor, thresholdBytes } : undefined;
}

function resolveHousekeeping(
  given: HousekeepingOptions | undefined,
  faults: string[],
): ResolvedHousekeepingOptions {
  const housekeeping = { ...HOUSEKEEPING_DEFAULTS, ...withoutUndefined(given) };
  const { archiveRetentionMs, inboxRetentionMs, deadLetterRetentionMs, redeliveryWindowMs } = housekeeping;
  const { inboxDeadLetterRetentionMs } = housekeeping;
  faults.push(...sectionFaults('housekeeping', given, KNOWN.housekeeping));
  const retentions = {
    archiveRetentionMs,
    inboxRetentionMs,
    deadLetterRetentionMs,
    inboxDeadLetterRetentionMs,
  };
  for (const [name, value] of Object.entries(retentions)) {
    if (value !== false)
      faults.push(...integerFault(`housekeeping.${name}`, value, 1, Number.MAX_SAFE_INTEGER));
  }
  faults.push(
    ...integerFault('housekeeping.redeliveryWindowMs', redeliveryWindowMs, 1, Number.MAX_SAFE_INTEGER),
    ...integerFault('housekeeping.intervalMs', housekeeping.intervalMs, 1, MAX_TIMER_MS),
  );
  if (inboxRetentionMs !== false && inboxRetentionMs < redeliveryWindowMs) {
    faults.push(
      `housekeeping.inboxRetentionMs (${inboxRetentionMs}) is shorter than housekeeping.redeliveryWindowMs ` +
        `(${redeliveryWindowMs}): a message that is delivered again after its inbox row is gone would take effect twice`,
    );
  }
  return housekeeping;
}

function resolveSection<T extends object>(
  name: 'validation',
  given: T | false | undefined,
  faults: string[],
): T | false {
  if (given === false) return false;
  faults.push(...sectionFaults(name, given, KNOWN[name]));
  return given ?? ({} as T);
}

function resolveList<T>(name: string, given: readonly T[] | undefined, faults: string[]): readonly T[] {
  if (given === undefined) return [];
  // JavaScript callers can give anything.
  const isList: boolean = Array.isArray(given);
  if (!isList) faults.push(`${name} must be a list`);
  return isList ? given : [];
}
