import { Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../common/columns';

/** Wrong passwords in a row. Volatile, so it stands beside the account and not in it. */
@Entity('login_counter')
export class LoginCounterEntity {
  /** The account, for all clients that it does not know; or one known device. */
  @PrimaryColumn({ type: 'varchar', length: 36 }) subject!: string;
  @Column({ type: 'integer' }) failures!: number;
  @InstantColumn() failedAt!: number;
  /** Until then no password is accepted from an unknown client. */
  @InstantColumn() waitUntil!: number;
}
