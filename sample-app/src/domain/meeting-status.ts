export const MEETING_STATUSES = ['open', 'closed'] as const;

export type MeetingStatus = (typeof MEETING_STATUSES)[number];
