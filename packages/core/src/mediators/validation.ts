import { Inject, Injectable } from '@nestjs/common';
import { getMetadataStorage, validate, validateSync, type ValidationError } from 'class-validator';
import {
  EventValidationError,
  RequestValidationError,
  type PropertyViolation,
} from '../cqrs-outbox.error.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../cqrs-outbox.options.js';

/** Checks commands and queries by their class-validator rules. A class without rules passes. */
@Injectable()
export class RequestValidator {
  readonly #rules = new RuleLookup();

  constructor(@Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions) {}

  /** Whether requests of this class can be invalid. */
  hasRules(requestClass: object): boolean {
    return this.options.validation !== false && this.#rules.has(requestClass);
  }

  /** Undefined when there is nothing to wait for: a class without rules costs no promise. */
  validate(request: object): Promise<void> | undefined {
    if (!this.hasRules(request.constructor)) return undefined;
    return this.check(request);
  }

  private async check(request: object): Promise<void> {
    const errors = await validate(request, { ...this.options.validation });
    if (errors.length > 0) throw new RequestValidationError(request.constructor.name, violationsOf(errors));
  }
}

/** Checks events, synchronously: an append has no promise to wait for. */
@Injectable()
export class EventValidator {
  readonly #rules = new RuleLookup();

  /** @throws {@link EventValidationError} */
  validate(name: string, event: object): void {
    if (!this.#rules.has(event.constructor)) return;
    const errors = validateSync(event, {});
    if (errors.length > 0) throw new EventValidationError(name, violationsOf(errors));
  }
}

/** Remembers which classes have rules: class-validator takes one without any for an unknown value. */
class RuleLookup {
  readonly #known = new Map<object, boolean>();

  has(target: object): boolean {
    let has = this.#known.get(target);
    if (has === undefined) {
      has =
        getMetadataStorage().getTargetValidationMetadatas(target as new () => object, '', false, false)
          .length > 0;
      this.#known.set(target, has);
    }
    return has;
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
