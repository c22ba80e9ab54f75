import { EventHandler, type HandlesEvent } from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { MeetingClosed } from './meeting-closed.event.js';
import { Minutes } from './minutes.entity.js';

/** Runs before the commit of the command that closes the meeting: no closed meeting is without its minutes. */
@EventHandler(MeetingClosed)
export class WriteMinutesHandler implements HandlesEvent<MeetingClosed> {
  constructor(private readonly em: EntityManager) {}

  handle({ meetingId, title, attendees }: MeetingClosed): void {
    this.em.persist(this.em.create(Minutes, { meetingId, title, attendees }));
  }
}
