/**
 * The data of a command, query or event: its own properties without methods and type-only markers. Optional
 * properties stay optional.
 */
export type PropsOf<T> = {
  // Methods of any signature: only the return type `never` for parameters accepts all of them.
  [K in keyof T as K extends symbol ? never : T[K] extends (...args: never[]) => unknown ? never : K]: T[K];
};

/**
 * Base of all commands, queries and events: gives them the static factory `of`.
 *
 * A constructor that assigns would be undone by ES2022 class fields, whose initialisers run after `super()`. The
 * factory assigns after construction, so subclasses need no constructor, keep the zero-argument constructor that
 * class-transformer needs, and can give default values to fields.
 */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- its subclasses have the properties
export abstract class Constructible {
  /**
   * Makes an instance with the given properties.
   *
   * @example
   * const command = CloseMeeting.of({ meetingId: 7 });
   */
  static of<T extends object>(
    this: new () => T,
    ...[props]: Partial<PropsOf<T>> extends PropsOf<T> ? [props?: PropsOf<T>] : [props: PropsOf<T>]
  ): T {
    const instance = new this();
    for (const [name, value] of Object.entries(props ?? {})) {
      // `Object.assign` would let a `__proto__` key from parsed JSON replace the prototype.
      Object.defineProperty(instance, name, { value, writable: true, enumerable: true, configurable: true });
    }
    return instance;
  }
}
