import { EntityManager, LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import { Injectable } from '@nestjs/common';
import { Meeting } from './meeting.entity.js';
import { MeetingNotFoundError, MeetingRuleError } from './meeting.errors.js';

/** The meetings of the write model. The injected entity manager is that of the current unit of work. */
@Injectable()
export class Meetings {
  constructor(private readonly em: EntityManager) {}

  /** Inserts at once, so that a taken id is found here, also when two requests take it at the same moment. */
  async add(meeting: Meeting): Promise<void> {
    try {
      await this.em.persist(meeting).flush();
    } catch (error) {
      if (!(error instanceof UniqueConstraintViolationException)) throw error;
      throw new MeetingRuleError(`Meeting ${meeting.id} exists already.`);
    }
  }

  /**
   * Locks the meeting's row until the commit: two users who join at the same moment do so one after the other.
   *
   * @throws {@link MeetingNotFoundError}
   */
  async get(meetingId: string): Promise<Meeting> {
    const meeting = await this.em.findOne(Meeting, meetingId, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!meeting) throw new MeetingNotFoundError(meetingId);
    return meeting;
  }
}
