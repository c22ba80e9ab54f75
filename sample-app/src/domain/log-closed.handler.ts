import { EventHandler, type HandlesEvent } from '@cqrs-outbox/core';
import { Logger } from '@nestjs/common';
import { MeetingClosed } from './meeting-closed.event.js';

/** Runs after the commit: the log must not tell of a meeting whose closing was rolled back, and a lost line harms nobody. */
@EventHandler(MeetingClosed, { phase: 'after-commit' })
export class LogClosedHandler implements HandlesEvent<MeetingClosed> {
  readonly #logger = new Logger('Meetings');

  handle({ meetingId, attendees }: MeetingClosed): void {
    this.#logger.log(`${meetingId} is over, ${attendees.length} took part`);
  }
}
