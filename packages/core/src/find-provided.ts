import type { InjectionToken } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';

/**
 * What any module of the application provides under a token, the last one where several do; undefined where none does, or
 * where there is no single instance. `ModuleRef.get` lists every provider of the application to find one, and throws where
 * there is none.
 */
export function findProvided<T>(modules: ModulesContainer, token: InjectionToken): T | undefined {
  let found: T | undefined;
  for (const { providers, injectables } of modules.values()) {
    const wrapper = injectables.get(token) ?? providers.get(token);
    if (!wrapper) continue;
    const isSingle = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
    found = isSingle ? (wrapper.instance as T) : undefined;
  }
  return found;
}
