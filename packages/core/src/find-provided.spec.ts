import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Injectable,
  Module,
  Scope,
  UseInterceptors,
  type NestInterceptor,
  type Provider,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import { findProvided } from './find-provided.js';

@Injectable()
class Around implements NestInterceptor {
  intercept(_context: unknown, next: { handle(): Observable<unknown> }): Observable<unknown> {
    return next.handle();
  }
}

@UseInterceptors(Around)
class Host {}

describe('findProvided', () => {
  let module: TestingModule | undefined;

  afterEach(() => module?.close());

  async function find(token: string | typeof Around, ...provided: Provider[][]): Promise<unknown> {
    const imports = provided.map((providers) => {
      @Module({ providers })
      class Provided {}
      return Provided;
    });
    module = await Test.createTestingModule({ imports }).compile();
    return findProvided(module.get(ModulesContainer), token);
  }

  it('finds what a module provides, exported or not', async () => {
    await expect(find('it', [{ provide: 'it', useFactory: () => 7 }])).resolves.toBe(7);
    await expect(
      find('alias', [
        { provide: 'it', useValue: 7 },
        { provide: 'alias', useExisting: 'it' },
      ]),
    ).resolves.toBe(7);
  });

  it('finds the last of several', async () => {
    await expect(
      find('it', [{ provide: 'it', useValue: 1 }], [], [{ provide: 'it', useValue: 2 }]),
    ).resolves.toBe(2);
  });

  it('finds an enhancer that a module has only since a class names it', async () => {
    await expect(find(Around, [Host])).resolves.toBeInstanceOf(Around);
  });

  it('finds nothing where there is none, or no single one', async () => {
    await expect(find('it', [])).resolves.toBeUndefined();
    for (const scope of [Scope.REQUEST, Scope.TRANSIENT]) {
      await expect(find('it', [{ provide: 'it', useFactory: () => 7, scope }])).resolves.toBeUndefined();
    }
  });
});
