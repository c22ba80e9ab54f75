/** What one pass over the outbox has done. */
export interface RelayReport {
  readonly published: number;
  /** Refused by the transport and parked for a retry. */
  readonly refused: number;
  readonly deadLettered: number;
}

export const NOTHING: RelayReport = { published: 0, refused: 0, deadLettered: 0 };

/** What two passes have done together. */
export function addReports(a: RelayReport, b: RelayReport): RelayReport {
  return {
    published: a.published + b.published,
    refused: a.refused + b.refused,
    deadLettered: a.deadLettered + b.deadLettered,
  };
}

/** Whether the pass has found nothing to do, or could do nothing. */
export function isIdle({ published, refused, deadLettered }: RelayReport): boolean {
  return published + refused + deadLettered === 0;
}
