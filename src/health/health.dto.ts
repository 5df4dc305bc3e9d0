export class HealthResponse {
  /** `ok` */
  status!: string;
}
