import { CommandHandler, Outbox, type RequestHandler } from '@cqrs-outbox/core';
import { Meetings } from '../domain/meetings.repository.js';
import { RoomClosed } from '../events/room-closed.event.js';
import { CloseMeeting } from './close-meeting.command.js';

@CommandHandler(CloseMeeting)
export class CloseMeetingHandler implements RequestHandler<CloseMeeting> {
  constructor(
    private readonly meetings: Meetings,
    private readonly outbox: Outbox,
  ) {}

  async execute({ meetingId }: CloseMeeting): Promise<void> {
    const meeting = await this.meetings.get(meetingId);
    meeting.close();
    // An event that no aggregate records is appended by hand: it leaves if, and only if, this transaction commits.
    this.outbox.append(RoomClosed.of({ meetingId }));
  }
}
