import { inspect } from 'node:util';

/** Every `code` that an error of this package can have. Codes are stable: branch on them, not on messages. */
export type CqrsOutboxErrorCode =
  | 'CONFIGURATION'
  | 'SCHEMA_MISSING'
  | 'SCHEMA_VERSION'
  | 'INVALID_EVENT_DECLARATION'
  | 'HANDLER_NOT_FOUND'
  | 'REQUEST_VALIDATION'
  | 'NO_ACTIVE_UNIT_OF_WORK'
  | 'UNIT_OF_WORK_ROLLED_BACK'
  | 'DOMAIN_EVENT_OUTSIDE_TRANSACTION'
  | 'DOMAIN_EVENT_LIMIT'
  | 'EVENT_NOT_DECLARED'
  | 'EVENT_NAME_CONFLICT'
  | 'EVENT_VALIDATION'
  | 'EVENT_KEY'
  | 'EVENT_HEADER'
  | 'UNKNOWN_DESTINATION'
  | 'PAYLOAD_NOT_SERIALIZABLE'
  | 'PAYLOAD_TOO_LARGE'
  | 'EVENT_DELAY'
  | 'ENTRY_NOT_FOUND'
  | 'PUBLISH_FAILED'
  | 'DEAD_LETTER_NOT_FOUND'
  | 'DEAD_LETTER_SELECTION'
  | 'DEAD_LETTER_INCOMPLETE'
  | 'DEAD_LETTER_IN_TRANSACTION'
  | 'ARCHIVE_OFF'
  | 'ARCHIVE_SELECTION'
  | 'EVENT_HANDLING'
  | 'CORRELATION_ID'
  | 'HANDLER_TIMEOUT'
  | 'MESSAGE_REJECTED'
  | 'PAYLOAD_BYTES_LOST';

/** Base of all errors that this library throws on purpose. */
export class CqrsOutboxError extends Error {
  /** Stable, for programs. */
  readonly code: CqrsOutboxErrorCode;

  constructor(code: CqrsOutboxErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The configuration is wrong; thrown at boot, with every fault that was found in `faults`. */
export class ConfigurationError extends CqrsOutboxError {
  constructor(readonly faults: readonly string[]) {
    super(
      'CONFIGURATION',
      `CqrsOutboxModule can't start, ${faults.length} fault(s):\n` +
        faults.map((fault) => `  - ${fault}`).join('\n'),
    );
  }
}

/** No class handles the request that was sent. */
export class HandlerNotFoundError extends CqrsOutboxError {
  constructor(readonly requestName: string) {
    super(
      'HANDLER_NOT_FOUND',
      `No handler for ${requestName}. Decorate a class with @CommandHandler(${requestName}) or ` +
        `@QueryHandler(${requestName}) and list it in the providers of a module that the application imports.`,
    );
  }
}

/** A property that breaks rules of class-validator, or of a schema. */
export interface PropertyViolation {
  /** Path of the property: `items[2].price`; empty for the payload as a whole. */
  readonly property: string;
  /** Rule -> message, as class-validator gives them; a message of a schema has the rule `schema`. */
  readonly rules: Readonly<Record<string, string>>;
}

/** A command or query breaks its class-validator rules; its handler was not run. */
export class RequestValidationError extends CqrsOutboxError {
  constructor(
    readonly requestName: string,
    readonly violations: readonly PropertyViolation[],
  ) {
    super('REQUEST_VALIDATION', `${requestName} is invalid: ${describeViolations(violations)}.`);
  }
}

/** An event breaks its class-validator rules or its schema: at `append`, or when it was received. */
export class EventValidationError extends CqrsOutboxError {
  constructor(
    readonly eventName: string,
    readonly violations: readonly PropertyViolation[],
  ) {
    super('EVENT_VALIDATION', `${eventName} is invalid: ${describeViolations(violations)}.`);
  }
}

/** Something needs a transaction that it can commit with, and none is open. */
export class NoActiveUnitOfWorkError extends CqrsOutboxError {
  constructor(what: string, why: string) {
    super(
      'NO_ACTIVE_UNIT_OF_WORK',
      `${what}: ${why}. Do it inside a command handler, an event handler or a transaction of the store; for an event ` +
        `that may be lost there is EventEmitter.emit.`,
    );
  }
}

/** What a part of the work has failed for was caught, but the rest of the work can't commit without that part. */
export class UnitOfWorkRolledBackError extends CqrsOutboxError {
  /** @param why left out: a command had joined it and failed */
  constructor(cause: unknown, why = 'a command that had joined it failed') {
    super(
      'UNIT_OF_WORK_ROLLED_BACK',
      `The unit of work was rolled back, since ${why}, and the error was caught: ${messageOf(cause)}. Let such errors pass, ` +
        'or do what may fail outside of it: a command that is sent from elsewhere, a statement in em.transactional().',
      { cause },
    );
  }
}

/** Some handlers of an event failed; `failures` has the name and the error of each. The others have committed. */
export class EventHandlingError extends CqrsOutboxError {
  constructor(
    readonly eventName: string,
    readonly failures: readonly { handler: string; error: unknown }[],
  ) {
    const list = failures.map(({ handler, error }) => `${handler}: ${messageOf(error)}`).join('; ');
    super('EVENT_HANDLING', `${failures.length} handler(s) of ${eventName} failed: ${list}.`, {
      cause: failures[0]?.error,
    });
  }
}

/** The text of anything that was thrown. Nest's RabbitMQ client rejects with `{ err, url }`. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  if (error instanceof Error) return error.message;
  if (typeof error === 'string') return error;
  if (typeof error !== 'object' || error === null) return String(error);
  if ('err' in error) return messageOf(error.err);
  return 'message' in error && typeof error.message === 'string'
    ? error.message
    : inspect(error, { depth: 1 });
}

/** So much of a stack is kept, in characters: as much as the stores do. */
const MAX_STACK_LENGTH = 8_000;

/** The stack of what was thrown, cut where it is very long: that of the last handler's own error, where handlers have failed. */
export function stackOf(error: unknown): string | undefined {
  const thrown = error instanceof EventHandlingError ? error.failures.at(-1)?.error : error;
  return thrown instanceof Error ? thrown.stack?.slice(0, MAX_STACK_LENGTH) : undefined;
}

function describeViolations(violations: readonly PropertyViolation[]): string {
  return violations
    .map(
      ({ property, rules }) =>
        `${property || 'the payload'} (${Object.entries(rules)
          .map(([rule, text]) => `${rule}: ${text}`)
          .join(', ')})`,
    )
    .join('; ');
}
