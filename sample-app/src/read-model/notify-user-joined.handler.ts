import { EventHandler, type HandlesEvent, type MessageContext } from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { UserJoined } from '../events/user-joined.event.js';
import { MeetingNotification } from './meeting-notification.entity.js';

/** A plain insert: a message that is delivered twice stops at the inbox, and never gets here again. */
@EventHandler(UserJoined)
export class NotifyUserJoinedHandler implements HandlesEvent<UserJoined> {
  constructor(private readonly em: EntityManager) {}

  handle({ meetingId, userId }: UserJoined, { messageId, occurredAt }: MessageContext): void {
    const text = `${userId} has joined`;
    this.em.persist(this.em.create(MeetingNotification, { id: messageId, meetingId, text, occurredAt }));
  }
}
