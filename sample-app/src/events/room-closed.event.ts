import { IntegrationEvent, NotificationEvent } from '@cqrs-outbox/core';
import { IsString } from 'class-validator';
import { TOPIC } from './topic.js';

/** Says that a meeting is over. */
@IntegrationEvent({ name: 'meetings.room-closed', topic: TOPIC, key: (e: RoomClosed) => e.meetingId })
export class RoomClosed extends NotificationEvent {
  @IsString() meetingId!: string;
}
