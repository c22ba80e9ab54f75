/* eslint-disable import-x/no-relative-packages -- the model runs the relay's own parts, which the package does not export */
export { DelayedEntries } from '../../packages/core/src/relay/delayed-entries.js';
export { DestinationRelay } from '../../packages/core/src/relay/destination-relay.js';
export { BatchLimit } from '../../packages/core/src/relay/batch-limit.js';
export { SlotTurns } from '../../packages/core/src/relay/slot-turns.js';
export { Breaker } from '../../packages/core/src/relay/failures/breaker.js';
export { backoffMs } from '../../packages/core/src/relay/failures/backoff.js';
export { fairShare } from '../../packages/core/src/relay/leases/fair-share.js';
export { SlotLeases } from '../../packages/core/src/relay/leases/slot-leases.js';
export type { RelayClock } from '../../packages/core/src/relay/relay-clock.js';
export { RELAY_DEFAULTS, type ResolvedRelayOptions } from '../../packages/core/src/relay/relay.options.js';
export { publishInLanes } from '../../packages/core/src/transports/lanes.js';
