/** HTTP: 404. */
export class MeetingNotFoundError extends Error {
  constructor(meetingId: string) {
    super(`There is no meeting ${meetingId}.`);
    this.name = MeetingNotFoundError.name;
  }
}

/** A rule of the domain forbids what was asked for. HTTP: 409. */
export class MeetingRuleError extends Error {
  constructor(message: string) {
    super(message);
    this.name = MeetingRuleError.name;
  }
}
