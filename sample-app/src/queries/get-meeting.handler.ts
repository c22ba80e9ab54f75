import { QueryHandler, type RequestHandler } from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { MeetingNotFoundError } from '../domain/meeting.errors.js';
import { MeetingView } from '../read-model/meeting-view.entity.js';
import { GetMeeting, type MeetingDetails } from './get-meeting.query.js';

/** Reads what the events have written: it lags behind the commands by the time of the messages' way. */
@QueryHandler(GetMeeting)
export class GetMeetingHandler implements RequestHandler<GetMeeting> {
  constructor(private readonly em: EntityManager) {}

  async execute({ meetingId }: GetMeeting): Promise<MeetingDetails> {
    const view = await this.em.findOne(MeetingView, { meetingId });
    if (!view) throw new MeetingNotFoundError(meetingId);
    const { title, status, attendees, updatedAt } = view;
    return { meetingId, title, status, attendees, updatedAt };
  }
}
