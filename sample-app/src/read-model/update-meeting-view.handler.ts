import { EventHandler, type HandlesEvent, type MessageContext } from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { MeetingState } from '../events/meeting-state.event.js';
import { MeetingView } from './meeting-view.entity.js';

/** States of one meeting arrive in the order of their commits, since its id is their key: the last one stays. */
@EventHandler(MeetingState)
export class UpdateMeetingViewHandler implements HandlesEvent<MeetingState> {
  constructor(private readonly em: EntityManager) {}

  async handle(state: MeetingState, { occurredAt }: MessageContext): Promise<void> {
    const { meetingId, title, status, attendees } = state;
    await this.em.upsert(MeetingView, { meetingId, title, status, attendees, updatedAt: occurredAt });
  }
}
