export class ImportResponse {
  /** The patient who was enrolled; null for a bundle of hospitals and professionals. */
  patientId!: string | null;
  /** How many clinical resources were sealed, the patient's own included. */
  sealed!: number;
  /** Head of the patient's chain after the import. */
  height!: number | null;
  blockHash!: string | null;
  /** Hospitals and professionals that were new here. */
  directory!: number;
}
