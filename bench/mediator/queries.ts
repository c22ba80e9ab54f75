import { Query, QueryHandler, type RequestHandler } from '@cqrs-outbox/core';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { UseInterceptors } from '@nestjs/common';
import { QueryHandler as NestQueryHandler } from '@nestjs/cqrs';
import type { Observable } from 'rxjs';

/** A query without rules, of which only the way to its handler costs anything. */
export class Lookup extends Query<number> {
  id!: number;
}

/** The same behind interceptors. */
export class InterceptedLookup extends Lookup {}

class Passing implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

class LookupHandler implements RequestHandler<Lookup> {
  async execute({ id }: Lookup): Promise<number> {
    return id;
  }
}

export class OurHandler extends LookupHandler {}
export class OurInterceptedHandler extends LookupHandler {}
export class NestHandler extends LookupHandler {}

// Decorators are called by hand: Node runs these sources without a build.
QueryHandler(Lookup)(OurHandler);
QueryHandler(InterceptedLookup)(OurInterceptedHandler);
UseInterceptors(new Passing(), new Passing())(OurInterceptedHandler);
NestQueryHandler(Lookup)(NestHandler);
