/** A statement of an upgrade. */
export interface UpgradeStep {
  readonly sql: string;
  /** What this step, or the steps with the same, add: when it is there, they are done. */
  readonly adds?: AddedColumn | AddedIndex;
}

export interface AddedColumn {
  readonly table: string;
  readonly column: string;
}

export interface AddedIndex {
  readonly table: string;
  readonly index: string;
}
