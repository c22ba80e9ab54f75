/** What the run's end needs to know from Jest, as JSON in the file that {@link OUTCOME_FILE_VARIABLE} names. */
export interface Outcome {
  readonly passed: number;
  /** Tests that failed and test files that could not be run. */
  readonly failed: number;
  readonly skipped: number;
  readonly skippedSuites: readonly SkippedSuite[];
  /** Test files after which more was open than before, for the case that Jest does not exit. */
  readonly leaks: readonly Leak[];
}

export interface SkippedSuite {
  readonly file: string;
  readonly name: string;
}

export interface Leak {
  readonly file: string;
  /** Kinds as `process.getActiveResourcesInfo()` names them, such as TCPSocketWrap. */
  readonly open: readonly string[];
}

export const OUTCOME_FILE_VARIABLE = 'TEST_OUTCOME_FILE';
