import { RequestValidationError } from '@cqrs-outbox/core';
import {
  type ArgumentsHost,
  BadRequestException,
  Catch,
  ConflictException,
  type HttpException,
  NotFoundException,
} from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { MeetingNotFoundError, MeetingRuleError } from '../domain/meeting.errors.js';

type KnownError = RequestValidationError | MeetingNotFoundError | MeetingRuleError;

/** The one place that knows which HTTP status an error has. All others are Nest's: 500 without details, and logged. */
@Catch(RequestValidationError, MeetingNotFoundError, MeetingRuleError)
export class ErrorFilter extends BaseExceptionFilter {
  override catch(error: KnownError, host: ArgumentsHost): void {
    super.catch(toHttp(error), host);
  }
}

function toHttp(error: KnownError): HttpException {
  if (error instanceof RequestValidationError) {
    const { code, message, violations } = error;
    return new BadRequestException({ statusCode: 400, code, message, violations });
  }
  if (error instanceof MeetingNotFoundError) return new NotFoundException(error.message);
  return new ConflictException(error.message);
}
