import type { EntityManager, EntityMetadata, EntityTarget, ObjectLiteral, ValueTransformer } from 'typeorm';
import { dialectOf } from './dialect';

/** The property that holds the tag of a row (`RowTagColumn`). */
export const TAG = 'rowTag';

/** Types that both drivers take and give as they are; another one would need its conversion here. */
const PLAIN = ['varchar', 'text', 'integer', 'bigint', 'blob', 'bytea'];

export interface ShapeColumn {
  readonly property: string;
  /** As it is called in the database, and the same in quotation marks. */
  readonly name: string;
  readonly quoted: string;
  /** The database counts it up. */
  readonly generated: boolean;
  readonly toStored: (value: unknown) => unknown;
  readonly fromStored: (value: unknown) => unknown;
}

/** What the hot statements need to know of an entity, and the statements' texts: made once, where TypeORM's builders make them for each call. */
export class RowShape {
  /** In quotation marks. */
  readonly table: string;
  readonly columns: readonly ShapeColumn[];
  readonly inserted: readonly ShapeColumn[];
  /** Those that the tag of a row is made of. */
  readonly tagged: readonly ShapeColumn[];
  readonly insertText: string;
  readonly isTagged: boolean;
  private readonly byProperty: ReadonlyMap<string, ShapeColumn>;
  private readonly texts = new Map<string, string>();

  constructor(
    readonly metadata: EntityMetadata,
    private readonly place: (index: number) => string,
  ) {
    this.table = quote(metadata.tableName);
    this.columns = metadata.columns.map((column) => {
      const { propertyName: property, databaseName: name, isGenerated: generated, type, transformer } = column;
      const typeName = column.isGenerated ? 'integer' : String(type);
      if (!PLAIN.includes(typeName)) throw new Error(`${metadata.tableName}.${name}: no conversion is known for ${typeName}`);
      const by = transformer as ValueTransformer | undefined;
      const same = (value: unknown): unknown => value;
      return {
        property,
        name,
        quoted: quote(name),
        generated,
        toStored: by ? (value) => by.to(value) as unknown : same,
        fromStored: by ? (value) => by.from(value) as unknown : same,
      };
    });
    this.byProperty = new Map(this.columns.map((column) => [column.property, column]));
    this.inserted = this.columns.filter((column) => !column.generated);
    this.tagged = this.inserted.filter(({ property }) => property !== TAG);
    this.isTagged = this.byProperty.has(TAG);
    this.insertText = `INSERT INTO ${this.table} (${this.list(this.inserted)}) VALUES (${this.places(this.inserted.length)})`;
  }

  /** @throws Error when the entity has no such property */
  column(property: string): ShapeColumn {
    const column = this.byProperty.get(property);
    if (!column) throw new Error(`${this.metadata.name} has no column ${property}`);
    return column;
  }

  /** Rows whose column has one of so many values. */
  selectText(column: ShapeColumn, count: number): string {
    return this.text(
      `select ${column.name} ${count}`,
      () => `SELECT ${this.list(this.columns)} FROM ${this.table} WHERE ${this.among(column, count)}`,
    );
  }

  deleteText(column: ShapeColumn, count: number): string {
    return this.text(`delete ${column.name} ${count}`, () => `DELETE FROM ${this.table} WHERE ${this.among(column, count)}`);
  }

  updateText(set: readonly ShapeColumn[], match: readonly ShapeColumn[]): string {
    const names = (columns: readonly ShapeColumn[]): string => columns.map((column) => column.name).join();
    return this.text(`update ${names(set)} ${names(match)}`, () => {
      const equal = (column: ShapeColumn, index: number): string => `${column.quoted} = ${this.place(index)}`;
      const assigned = set.map(equal).join(', ');
      return `UPDATE ${this.table} SET ${assigned} WHERE ${match.map((column, index) => equal(column, set.length + index)).join(' AND ')}`;
    });
  }

  /** A row as the application sees it. */
  read(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    for (const { property, name, fromStored } of this.columns) found[property] = fromStored(row[name]);
    return found;
  }

  private among(column: ShapeColumn, count: number): string {
    return `${column.quoted} IN (${this.places(count)})`;
  }

  private list(columns: readonly ShapeColumn[]): string {
    return columns.map((column) => column.quoted).join(', ');
  }

  private places(count: number): string {
    return Array.from({ length: count }, (_none, index) => this.place(index)).join(', ');
  }

  private text(key: string, make: () => string): string {
    const known = this.texts.get(key);
    if (known !== undefined) return known;
    const made = make();
    if (this.texts.size < 200) this.texts.set(key, made);
    return made;
  }
}

const shapes = new WeakMap<EntityMetadata, RowShape>();

export function shapeOf<T extends ObjectLiteral>(manager: Pick<EntityManager, 'dataSource'>, entity: EntityTarget<T>): RowShape {
  return shapeOfMetadata(manager, manager.dataSource.getMetadata(entity));
}

export function shapeOfMetadata({ dataSource }: Pick<EntityManager, 'dataSource'>, metadata: EntityMetadata): RowShape {
  const known = shapes.get(metadata);
  if (known) return known;
  const numbered = dialectOf({ dataSource }) === 'postgres';
  const made = new RowShape(metadata, (index) => (numbered ? `$${index + 1}` : '?'));
  shapes.set(metadata, made);
  return made;
}

function quote(name: string): string {
  return `"${name}"`;
}
