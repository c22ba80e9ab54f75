export { CqrsOutboxModule } from './cqrs-outbox.module.js';
export type { CqrsOutboxModuleExtras } from './cqrs-outbox.module-definition.js';
export {
  type CqrsOutboxOptions,
  type RequestValidationOptions,
  type TransportOption,
} from './cqrs-outbox.options.js';
export {
  ConfigurationError,
  CqrsOutboxError,
  type CqrsOutboxErrorCode,
  EventHandlingError,
  EventValidationError,
  HandlerNotFoundError,
  NoActiveUnitOfWorkError,
  type PropertyViolation,
  RequestValidationError,
  UnitOfWorkRolledBackError,
} from './cqrs-outbox.error.js';

export { AggregateRoot } from './messages/aggregate-root.js';
export { type Codec, type JsonSchema, type JsonValue } from './messages/codecs/codec.js';
export {
  arrayCodec,
  classCodec,
  mapCodec,
  nullableCodec,
  setCodec,
} from './messages/codecs/collection-codecs.js';
export { codecsOf, Encoded } from './messages/codecs/encoded.decorator.js';
export {
  bigIntCodec,
  booleanCodec,
  dateCodec,
  numberCodec,
  stringCodec,
} from './messages/codecs/value-codecs.js';
export { BrotliCompressor } from './messages/compression/brotli.compressor.js';
export { BUILT_IN_COMPRESSORS } from './messages/compression/built-in-compressors.js';
export { type CompressionOptions } from './messages/compression/compression.options.js';
export { Compressor } from './messages/compression/compressor.js';
export { DeflateCompressor } from './messages/compression/deflate.compressor.js';
export { GzipCompressor } from './messages/compression/gzip.compressor.js';
export { ZstdCompressor } from './messages/compression/zstd.compressor.js';
export { type PropsOf } from './messages/constructible.js';
export {
  type AnyEvent,
  DomainEvent,
  ECSTEvent,
  type EventClass,
  NotificationEvent,
  type OutboundEvent,
} from './messages/event.js';
export {
  type EventDeclaration,
  eventDeclarationOf,
  IntegrationEvent,
  type IntegrationEventOptions,
} from './messages/integration-event.decorator.js';
export {
  fromStoredHeaders,
  type Message,
  toStoredHeaders,
  toWireHeaders,
  WIRE_HEADERS,
} from './messages/message.js';
export { type MessageContext } from './messages/message-context.js';
export { toPlain } from './messages/plain-event.js';
export { rebuildEvent } from './messages/rebuild-event.js';
export { Command, Query, Request, type ResultOf } from './messages/request.js';
export { JsonSerializer, type PayloadType, Serializer } from './messages/serializer.js';
export { type NewerVersionPolicy, oldestVersionOf, type Upcaster } from './messages/versions.js';

export { EventMap } from './handlers/event-map.js';
export {
  CommandHandler,
  EventHandler,
  type EventHandlerOptions,
  QueryHandler,
} from './handlers/handler.decorators.js';
export { type HandlingPhase } from './handlers/handling-phase.js';
export { type HandlesEvent, type RequestHandler } from './handlers/request-handler.js';
export { RequestMap } from './handlers/request-map.js';

export { type EnhancerOptions } from './mediators/enhancers.js';
export { EventMediator } from './mediators/event-mediator.js';
export { type CqrsContextType } from './mediators/handler-pipeline.js';
export { LOGGING_OPTIONS, LoggingInterceptor, type LoggingOptions } from './mediators/logging.interceptor.js';
export { RequestMediator, type SendOptions } from './mediators/request-mediator.js';

export { PendingEvents } from './unit-of-work/pending-events.js';
export { RecordedEvent } from './unit-of-work/recorded-event.js';
export {
  type CommittedTransaction,
  type CommittingTransaction,
  type TransactionHooks,
  type RunPart,
  type TransactionOptions,
  UnitOfWork,
} from './unit-of-work/unit-of-work.js';

export { type AppendOptions, type EmitOptions } from './outbox/event-encoder.js';
export { EventEmitter } from './outbox/event-emitter.js';
export { Outbox } from './outbox/outbox.js';
export { type DeadLetterPolicy, type OutboxEntry, type StoredEntry } from './outbox/outbox-entry.js';
export {
  type EntrySelection,
  type Failure,
  type FetchedEntries,
  OutboxStore,
  type PromotedEntries,
} from './outbox/outbox-store.js';
export { slotOf, slotsOf } from './outbox/slots.js';

export { type DestinationHealth, type FailureCause } from './relay/destination-health.js';
export {
  type BatchDiagnostic,
  type FailureDiagnostic,
  type LeaseDiagnostic,
  OUTBOX_CHANNELS,
  type OutboxDiagnostic,
  type RefusalDiagnostic,
} from './relay/diagnostics.js';
export { NonRetryableError } from './relay/failures/non-retryable.error.js';
export { CommitHints, type StopListening } from './relay/hints/commit-hints.js';
export { type Lease, LeaseStore, type RelayInstance, type SlotOwner } from './relay/leases/lease-store.js';
export { OutboxRelay } from './relay/outbox-relay.js';
export { type RelayOptions } from './relay/relay.options.js';
export { addReports, isIdle, type RelayReport } from './relay/relay-report.js';
export { WakeUp, type WakeUpListener } from './relay/wake-up.js';

export { type ArchiveSelection, ArchiveStore } from './operations/archive-store.js';
export {
  type DeadLetter,
  type DeadLetterPage,
  type DeadLetterSelection,
  DeadLetterStore,
  type FailedAttempt,
} from './operations/dead-letter-store.js';
export { DeadLetters } from './operations/dead-letters.js';
export { type HousekeepingOptions } from './operations/housekeeping.options.js';
export {
  type FailedLetter,
  InboxDeadLetters,
  type InboxDeadLetterList,
  type InboxRetryReport,
} from './operations/inbox-dead-letters.js';
export { OutboxArchive } from './operations/outbox-archive.js';
export {
  OutboxHealthIndicator,
  type OutboxHealthLimits,
  type OutboxHealthResult,
} from './operations/outbox-health.indicator.js';
export {
  type DestinationStatus,
  type OutboxState,
  OutboxStatus,
  type SlotStatus,
} from './operations/outbox-status.js';
export {
  type OpenTransaction,
  type OutboxFigures,
  type ParkedKey,
  type SlotBacklog,
  StatusStore,
} from './operations/status-store.js';

export { type Envelope } from './transports/client-proxy.transport.js';
export {
  InMemoryContext,
  type InMemoryMessage,
  InMemoryTransport,
} from './transports/in-memory.transport.js';
export { type KafkaAnswer, type KafkaFault, KafkaProducer } from './transports/kafka-producer.js';
export { KafkaTransport } from './transports/kafka.transport.js';
export { NullTransport } from './transports/null.transport.js';
export { TimeoutError, withTimeLimit } from './transports/time-limit.js';
export { type PublishOptions, type PublishResult, Transport } from './transports/transport.js';

export {
  type ConsumerBatchOptions,
  type ConsumerOptions,
  type DeadLetterDestination,
} from './consumers/consumer.options.js';
export { EventConsumer } from './consumers/event-consumer.js';
export { type ConsumerCounts } from './consumers/consumer-telemetry.js';
export {
  type FailedRetry,
  type InboxDeadLetter,
  type InboxDeadLetterContent,
  type InboxDeadLetterPage,
  type InboxDeadLetterSelection,
} from './consumers/inbox-dead-letter.js';
export {
  type AttemptDiagnostic,
  type DeadLetterDiagnostic,
  type DoneDiagnostic,
  INBOX_CHANNELS,
  type InboxDiagnostic,
} from './consumers/inbox-diagnostics.js';
export { DuplicateMessageError, InboxStore, type InboxPair } from './consumers/inbox-store.js';
export { KafkaEventServer } from './consumers/kafka/kafka-event.server.js';
export { type KafkaEventServerOptions } from './consumers/kafka/kafka-event-server.options.js';
export { RabbitMqEventDeserializer } from './consumers/rabbitmq-event.deserializer.js';
export { type MessagePart, type RejectedMessage } from './consumers/rejected-message.js';
