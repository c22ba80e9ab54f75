import { EventHandler, type HandlesEvent, type MessageContext } from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { RoomClosed } from '../events/room-closed.event.js';
import { MeetingNotification } from './meeting-notification.entity.js';

@EventHandler(RoomClosed)
export class NotifyRoomClosedHandler implements HandlesEvent<RoomClosed> {
  constructor(private readonly em: EntityManager) {}

  handle({ meetingId }: RoomClosed, { messageId, occurredAt }: MessageContext): void {
    const text = 'The meeting is over';
    this.em.persist(this.em.create(MeetingNotification, { id: messageId, meetingId, text, occurredAt }));
  }
}
