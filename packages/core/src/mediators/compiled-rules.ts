import { getMetadataStorage, ValidationTypes, type ValidatorConstraintInterface } from 'class-validator';

/** Checks one value of a property. Promises of asynchronous rules are added to `pending`. */
type Check = (value: unknown, object: object, pending: unknown[] | undefined) => boolean;

type ValidationMetadata = ReturnType<
  ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']
>[number];
type ConstraintMetadata = ReturnType<
  ReturnType<typeof getMetadataStorage>['getTargetValidatorConstraints']
>[number];

interface PropertyRules {
  readonly property: string;
  readonly conditions: readonly ((object: object, value: unknown) => boolean)[];
  readonly checks: readonly Check[];
}

/** The rules of one class: class-validator looks for them again, among those of all classes, at each object. */
interface ClassRules {
  readonly properties: readonly PropertyRules[];
  readonly names: ReadonlySet<string>;
}

/**
 * Says of an object whether it keeps the class-validator rules of its class, by the same functions, much quicker. For one that
 * does not, class-validator itself is to be asked: messages, paths and what it strips are its business.
 */
export class CompiledRules {
  /** False: the class has rules that only class-validator applies. */
  readonly #classes = new Map<unknown, ClassRules | false>();

  /** @param isClosed whether a property without rules is a reason to ask class-validator */
  constructor(private readonly isClosed: boolean) {}

  hasRules(target: object): boolean {
    const rules = this.rulesOf(target);
    return rules === false || rules.properties.length > 0;
  }

  /**
   * @param pending gets the promises of rules that are asynchronous: the object is valid when none of them rejects or resolves
   *   to what is false. Left out, such rules are not run.
   * @returns false: class-validator has to say
   */
  isValid(object: object, pending?: unknown[]): boolean {
    const rules = this.rulesOf(object.constructor);
    if (rules === false || rules.properties.length === 0) return false;
    if (this.isClosed && Object.keys(object).some((name) => !rules.names.has(name))) return false;
    return rules.properties.every(({ property, conditions, checks }) => {
      const value = (object as Record<string, unknown>)[property];
      // As in class-validator, all are asked.
      if (conditions.filter((condition) => !condition(object, value)).length > 0) return true;
      return checks.every((check) => check(value, object, pending));
    });
  }

  private rulesOf(target: unknown): ClassRules | false {
    // Nested objects may be no instances, with a `constructor` that came from outside: nothing to remember.
    if (typeof target !== 'function') return false;
    let rules = this.#classes.get(target);
    if (rules === undefined) {
      rules = this.compile(target);
      this.#classes.set(target, rules);
    }
    return rules;
  }

  private compile(target: NewableFunction): ClassRules | false {
    const storage = getMetadataStorage();
    const metadatas = storage.getTargetValidationMetadatas(target, '', false, false);
    if (metadatas.some(({ type }) => type === ValidationTypes.PROMISE_VALIDATION)) return false;
    const byProperty = Object.entries(storage.groupByPropertyName(metadatas));
    const properties = byProperty.map(([property, rules]): PropertyRules => ({
      property,
      conditions: rules.filter(isCondition).map(({ constraints }) => constraints[0] as never),
      checks: rules.flatMap((rule) => this.checksOf(rule)),
    }));
    return { properties, names: new Set(byProperty.map(([property]) => property)) };
  }

  private checksOf(rule: ValidationMetadata): Check[] {
    switch (rule.type) {
      case ValidationTypes.NESTED_VALIDATION:
        return [(value, _, pending) => this.isNestedValid(value, pending)];
      case ValidationTypes.CUSTOM_VALIDATION:
      case ValidationTypes.IS_DEFINED:
        return getMetadataStorage()
          .getTargetValidatorConstraints(rule.constraintCls)
          .map((constraint) => customCheck(rule, constraint));
      default:
        return [];
    }
  }

  /** An object whose class has no rules is none that class-validator lets pass. */
  private isNestedValid(value: unknown, pending: unknown[] | undefined): boolean {
    if (value === undefined) return true;
    if (Array.isArray(value) || value instanceof Set || value instanceof Map)
      return itemsOf(value).every((item) => this.isNestedValid(item, pending));
    return value instanceof Object && this.isValid(value, pending);
  }
}

function itemsOf(
  value: readonly unknown[] | ReadonlySet<unknown> | ReadonlyMap<unknown, unknown>,
): unknown[] {
  return [...value.values()];
}

function isCondition({ type }: ValidationMetadata): boolean {
  return type === ValidationTypes.CONDITIONAL_VALIDATION;
}

function customCheck(rule: ValidationMetadata, constraint: ConstraintMetadata): Check {
  const instanceOf = instanceGetter(constraint);
  return (value, object, pending) => {
    if (constraint.async && !pending) return true;
    if (rule.validateIf && !rule.validateIf(object, value)) return true;
    const { propertyName: property, constraints } = rule;
    const args = { targetName: object.constructor.name, property, object, value, constraints };
    const instance = instanceOf();
    const passes = (item: unknown): boolean => {
      const result = instance.validate(item, args);
      if (typeof result === 'object') pending?.push(result);
      return Boolean(result);
    };
    if (!rule.each || !(Array.isArray(value) || value instanceof Set || value instanceof Map))
      return passes(value);
    return itemsOf(value).every(passes);
  };
}

/** Those of the decorators that come with class-validator stay the same; those of a user may come from a container. */
function instanceGetter(constraint: ConstraintMetadata): () => ValidatorConstraintInterface {
  if (constraint.target.name !== 'CustomConstraint') return () => constraint.instance;
  let instance: ValidatorConstraintInterface | undefined;
  return () => (instance ??= constraint.instance);
}
