import { validate, validateSync, type ValidationError } from 'class-validator';
import {
  EventValidationError,
  RequestValidationError,
  type PropertyViolation,
} from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import { CompiledRules } from './compiled-rules.js';

/** Checks commands and queries by their class-validator rules. A class without rules passes. */
export class RequestValidator {
  readonly #rules: CompiledRules;

  constructor(private readonly options: ResolvedOptions) {
    this.#rules = new CompiledRules(options.validation !== false && options.validation.whitelist === true);
  }

  /** Whether requests of this class can be invalid. */
  hasRules(requestClass: object): boolean {
    return this.options.validation !== false && this.#rules.hasRules(requestClass);
  }

  /** Undefined when there is nothing to wait for: a class without asynchronous rules costs no promise. */
  validate(request: object): Promise<void> | undefined {
    if (!this.hasRules(request.constructor)) return undefined;
    const pending: unknown[] = [];
    if (!this.#rules.isValid(request, pending)) return this.refuse(request, pending);
    return pending.length > 0 ? this.awaitRules(request, pending) : undefined;
  }

  private async awaitRules(request: object, pending: unknown[]): Promise<void> {
    const results = await Promise.all(pending);
    if (!results.every(Boolean)) await this.refuse(request);
  }

  private async refuse(request: object, pending: unknown[] = []): Promise<void> {
    // They are asked again, and their errors then count.
    await Promise.allSettled(pending);
    const errors = await validate(request, { ...this.options.validation });
    if (errors.length > 0) throw new RequestValidationError(request.constructor.name, violationsOf(errors));
  }
}

/** Checks events, synchronously: an append has no promise to wait for. */
export class EventValidator {
  readonly #rules = new CompiledRules(false);

  /** @throws {@link EventValidationError} */
  validate(name: string, event: object): void {
    if (!this.#rules.hasRules(event.constructor) || this.#rules.isValid(event)) return;
    const errors = validateSync(event, {});
    if (errors.length > 0) throw new EventValidationError(name, violationsOf(errors));
  }
}

function violationsOf(errors: readonly ValidationError[], parent = ''): PropertyViolation[] {
  return errors.flatMap(({ property, constraints, children }) => {
    const path =
      parent === '' ? property : /^\d+$/.test(property) ? `${parent}[${property}]` : `${parent}.${property}`;
    const own = constraints ? [{ property: path, rules: constraints }] : [];
    return [...own, ...violationsOf(children ?? [], path)];
  });
}
