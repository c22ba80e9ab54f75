export { type Clock, TestClock } from './clock/clock.js';

export { InMemoryArchiveStore } from './store/in-memory-archive-store.js';
export { InMemoryDatabase } from './store/in-memory-database.js';
export { InMemoryDeadLetterStore } from './store/in-memory-dead-letter-store.js';
export { InMemoryInboxStore } from './store/in-memory-inbox-store.js';
export { InMemoryLeaseStore } from './store/in-memory-lease-store.js';
export { InMemoryOutboxStore } from './store/in-memory-outbox-store.js';
export { InMemoryStatusStore } from './store/in-memory-status-store.js';
export { InMemoryStore } from './store/in-memory-store.js';
export { InMemoryUnitOfWork } from './store/in-memory-unit-of-work.js';

export {
  type FaultyMessages,
  RecordingTransport,
  type RefusedMessages,
} from './transports/recording-transport.js';

export { drain } from './helpers/drain.js';
export { type DeliverOptions } from './helpers/deliver.js';
export { published, type PublishedEvent } from './helpers/published.js';
export { type OutboxMessage, TestOutbox } from './helpers/test-outbox.js';

export { breakingChanges } from './contract/breaking-changes.js';
export { contractText, eventContract, type EventContract } from './contract/event-contract.js';
export { type SchemaConversion } from './contract/standard-schemas.js';

export { archiveStoreContract } from './contracts/archive-store.contract.js';
export { commitHintsContract } from './contracts/commit-hints.contract.js';
export { type CommitHintsFixture, type CommitHintsHarness } from './contracts/commit-hints-harness.js';
export { deadLetterStoreContract } from './contracts/dead-letter-store.contract.js';
export { inboxStoreContract } from './contracts/inbox-store.contract.js';
export { leaseStoreContract } from './contracts/lease-store.contract.js';
export { outboxStoreContract } from './contracts/outbox-store.contract.js';
export { statusStoreContract } from './contracts/status-store.contract.js';
export {
  type SampleAggregate,
  type StoreAbilities,
  type StoreFixture,
  type StoreHarness,
} from './contracts/store-harness.js';
export { type TestFunctions } from './contracts/test-functions.js';
export { transportContract } from './contracts/transport.contract.js';
export {
  type ArrivedMessage,
  type ClosableTransport,
  type TransportFixture,
  type TransportHarness,
} from './contracts/transport-harness.js';
export { unitOfWorkContract } from './contracts/unit-of-work.contract.js';
