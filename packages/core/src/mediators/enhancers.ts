import type { CanActivate, ExceptionFilter, NestInterceptor, Type } from '@nestjs/common';
import {
  ApplicationConfig,
  ExternalContextCreator,
  type ModuleRef,
  type ModulesContainer,
  type NestContainer,
} from '@nestjs/core';
import { ExternalExceptionFilterContext } from '@nestjs/core/exceptions/external-exception-filter-context.js';
import { GuardsConsumer, GuardsContextCreator } from '@nestjs/core/guards/index.js';
import { InterceptorsContextCreator } from '@nestjs/core/interceptors/index.js';
import { PipesConsumer, PipesContextCreator } from '@nestjs/core/pipes/index.js';
import { messageOf } from '../cqrs-outbox.error.js';
import { findProvided } from '../find-provided.js';
import { InterceptorChain } from './interceptor-chain.js';

/** Nest enhancers given to `forRoot`: classes that Nest can construct, or instances. */
export interface EnhancerOptions {
  /** Run around every command, query and event handler, inside the application's global interceptors. */
  interceptors?: readonly (Type<NestInterceptor> | NestInterceptor)[];
  /** Asked before every handler, after the application's global guards. */
  guards?: readonly (Type<CanActivate> | CanActivate)[];
  /** Catch what a handler throws, after filters of its class and before the application's global ones. */
  filters?: readonly (Type<ExceptionFilter> | ExceptionFilter)[];
}

/**
 * Makes Nest's own `ExternalContextCreator` with the enhancers of `forRoot` added to the application's global ones,
 * for this application's handlers only: neither the application's configuration nor a handler class is changed.
 */
export class Enhancers {
  #config: CqrsApplicationConfig | undefined;

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly modules: ModulesContainer,
    private readonly applicationConfig: ApplicationConfig,
  ) {}

  /** Instantiates the enhancers of `forRoot`. @returns the faults: what can't be constructed. */
  async load(options: EnhancerOptions): Promise<string[]> {
    const faults: string[] = [];
    const instantiate = async <T extends object>(
      option: string,
      items: readonly (Type<T> | T)[] = [],
    ): Promise<T[]> => {
      const instances: T[] = [];
      for (const item of items) {
        try {
          instances.push(typeof item === 'function' ? await this.instanceOf(item) : item);
        } catch (error) {
          faults.push(`${option}: ${nameOf(item)} can't be constructed: ${messageOf(error)}`);
        }
      }
      return instances;
    };
    this.#config = new CqrsApplicationConfig(
      this.applicationConfig,
      await instantiate('interceptors', options.interceptors),
      await instantiate('guards', options.guards),
      await instantiate('filters', options.filters),
    );
    return faults;
  }

  /** To be called when global enhancers are final, that is after the application's initialisation. */
  createContextCreator(): ExternalContextCreator {
    const { config, modules } = this;
    // Its parts ask their container for these two alone; Nest does not let the container itself be injected.
    const facade = { applicationConfig: config, getModules: () => modules } as unknown as NestContainer;
    return new ExternalContextCreator(
      new GuardsContextCreator(facade, config),
      new GuardsConsumer(),
      new InterceptorsContextCreator(facade, config),
      new InterceptorChain(),
      modules,
      new PipesContextCreator(facade, config),
      new PipesConsumer(),
      new ExternalExceptionFilterContext(facade, config),
    );
  }

  /** Whether any global filter would see an error: without one, Nest's default only logs the error a second time. */
  get haveGlobalFilters(): boolean {
    return this.config.getGlobalFilters().length + this.config.getGlobalRequestFilters().length > 0;
  }

  /** Whether there are any that are around every handler. Final when global enhancers are. */
  get haveGlobal(): boolean {
    const { config } = this;
    const others = [
      config.getGlobalGuards(),
      config.getGlobalRequestGuards(),
      config.getGlobalInterceptors(),
      config.getGlobalRequestInterceptors(),
    ];
    return this.haveGlobalFilters || others.some(({ length }) => length > 0);
  }

  private get config(): CqrsApplicationConfig {
    return (this.#config ??= new CqrsApplicationConfig(this.applicationConfig, [], [], []));
  }

  /** The instance that some module provides, or else a new one with the dependencies that our module sees. */
  private async instanceOf<T extends object>(type: Type<T>): Promise<T> {
    return findProvided<T>(this.modules, type) ?? this.moduleRef.create<T>(type);
  }
}

/** The application's global enhancers, read when they are needed, followed by those of `forRoot`. */
class CqrsApplicationConfig extends ApplicationConfig {
  constructor(
    private readonly application: ApplicationConfig,
    private readonly interceptors: readonly NestInterceptor[],
    private readonly guards: readonly CanActivate[],
    private readonly filters: readonly ExceptionFilter[],
  ) {
    super();
  }

  override getGlobalInterceptors(): NestInterceptor[] {
    return [...this.application.getGlobalInterceptors(), ...this.interceptors];
  }

  override getGlobalRequestInterceptors(): ReturnType<ApplicationConfig['getGlobalRequestInterceptors']> {
    return this.application.getGlobalRequestInterceptors();
  }

  override getGlobalGuards(): CanActivate[] {
    return [...this.application.getGlobalGuards(), ...this.guards];
  }

  override getGlobalRequestGuards(): ReturnType<ApplicationConfig['getGlobalRequestGuards']> {
    return this.application.getGlobalRequestGuards();
  }

  override getGlobalFilters(): ExceptionFilter[] {
    return [...this.application.getGlobalFilters(), ...this.filters];
  }

  override getGlobalRequestFilters(): ReturnType<ApplicationConfig['getGlobalRequestFilters']> {
    return this.application.getGlobalRequestFilters();
  }
}

function nameOf(item: unknown): string {
  return typeof item === 'function'
    ? item.name
    : typeof item === 'object' && item !== null
      ? item.constructor.name
      : String(item);
}
