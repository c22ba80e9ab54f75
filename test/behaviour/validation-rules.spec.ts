import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  CqrsOutboxModule,
  NullTransport,
  Query,
  QueryHandler,
  RequestMediator,
  RequestValidationError,
  type PropertyViolation,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  IsDefined,
  IsInt,
  IsOptional,
  IsString,
  Length,
  Min,
  Validate,
  ValidateBy,
  ValidateIf,
  ValidateNested,
  ValidatePromise,
  ValidatorConstraint,
  validate,
  type ValidationError,
  type ValidatorConstraintInterface,
} from 'class-validator';
import { silentLogger } from '../support/silent-logger.ts';

@ValidatorConstraint({ name: 'free', async: true })
class IsFree implements ValidatorConstraintInterface {
  async validate(value: unknown): Promise<boolean> {
    if (value === 'broken') throw new Error('The lookup has failed');
    return value !== 'taken';
  }
}

/** Asynchronous without saying so. */
const IsLucky = (): PropertyDecorator =>
  ValidateBy({ name: 'isLucky', validator: { validate: async (value) => value !== 13 } });

class Line {
  @IsInt() @Min(1) quantity: unknown = 1;
}

class Base extends Query<string> {
  @IsString() @Length(1, 5) name: unknown = 'ada';
}

class Sample extends Base {
  @IsOptional() @IsInt() age?: unknown;
  @ValidateIf(({ age }: Sample) => age !== undefined) @IsString() proof?: unknown;
  @IsInt({ each: true }) numbers: unknown = [1, 2];
  @IsDefined() there: unknown = 0;
  @ValidateNested() line: unknown = new Line();
  @ValidateNested({ each: true }) lines: unknown = [new Line()];
  @Validate(IsFree) handle: unknown = 'ada';
  @IsLucky() lucky: unknown = 7;
  @IsString({ validateIf: ({ age }: Sample) => age === 1 }) guarded: unknown = 1;
}

class Later extends Query<string> {
  @ValidatePromise() @IsInt() value: unknown = Promise.resolve(1);
}

@QueryHandler(Sample)
class SampleHandler implements RequestHandler<Sample> {
  async execute(): Promise<string> {
    return 'valid';
  }
}

@QueryHandler(Later)
class LaterHandler extends SampleHandler {}

const lineOf = (quantity: unknown): Line => Object.assign(new Line(), { quantity });
const sample = (change: object): Sample => Object.assign(new Sample(), change);

/** What class-validator says by itself. */
async function expectedOf(request: object): Promise<string[]> {
  const paths = (errors: ValidationError[], parent = ''): string[] =>
    errors.flatMap(({ property, constraints = {}, children = [] }) => [
      ...Object.keys(constraints).map((rule) => `${parent}${property} ${rule}`),
      ...paths(children, `${parent}${property}.`),
    ]);
  return paths(await validate(request, {}));
}

describe('the rules of a request', () => {
  let module: TestingModule;

  beforeEach(async () => {
    const outbox = {
      source: 'tests',
      transport: new NullTransport(),
      relay: false,
      store: InMemoryStore,
    } as const;
    module = await Test.createTestingModule({
      imports: [CqrsOutboxModule.forRoot(outbox)],
      providers: [SampleHandler, LaterHandler],
    })
      .setLogger(silentLogger)
      .compile();
    await module.init();
  });

  afterEach(() => module.close());

  const found = async (request: Query<string>): Promise<string[]> => {
    try {
      await module.get(RequestMediator).send(request);
      return [];
    } catch (error) {
      if (!(error instanceof RequestValidationError)) throw error;
      return error.violations.flatMap(({ property, rules }: PropertyViolation) =>
        Object.keys(rules).map((rule) => `${property.replaceAll(/\[(\d+)\]/g, '.$1')} ${rule}`),
      );
    }
  };

  it.each<[string, object, number]>([
    ['all kept', {}, 0],
    ['an inherited rule', { name: 'too long' }, 1],
    ['an optional property that is there', { age: 'x', proof: 'y' }, 1],
    ['a condition that holds', { age: 2 }, 1],
    ['one item of several', { numbers: [1, 'x'] }, 1],
    ['no item at all', { numbers: 'x' }, 1],
    ['items of a Set', { numbers: new Set([1, 'x']) }, 1],
    ['nothing where something must be', { there: null }, 1],
    ['a nested object', { line: lineOf(0) }, 1],
    ['a nested object without rules', { line: { quantity: 1 } }, 1],
    ['a nested value that is no object', { line: 5 }, 1],
    ['a nested value that is missing', { line: undefined }, 0],
    ['nested objects of a Map', { lines: new Map([['a', lineOf(0)]]) }, 1],
    ['one nested object of several', { lines: [lineOf(1), lineOf(-1)] }, 1],
    ['an asynchronous rule', { handle: 'taken' }, 1],
    ['a rule that answers with a promise', { lucky: 13 }, 1],
    ['a rule whose own condition holds', { age: 1, proof: 'y' }, 1],
    ['several at once', { name: 1, there: undefined, handle: 'taken' }, 4],
  ])('are those of class-validator: %s', async (_, change, count) => {
    const expected = await expectedOf(sample(change));
    expect(expected).toHaveLength(count);
    await expect(found(sample(change))).resolves.toEqual(expected);
  });

  it('may fail themselves, which is the failure of the request', async () => {
    await expect(found(sample({ handle: 'broken' }))).rejects.toThrow('The lookup has failed');
    await expect(found(sample({ handle: 'broken', name: 1 }))).rejects.toThrow('The lookup has failed');
  });

  it('of promises are left to class-validator', async () => {
    await expect(found(new Later())).resolves.toEqual([]);
    const late = Object.assign(new Later(), { value: Promise.resolve('x') });
    await expect(found(late)).resolves.toEqual(['value isInt']);
  });
});
