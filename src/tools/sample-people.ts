/** An invented person and the words that the notes of their chart use. No real person is meant. */
export interface SamplePerson {
  readonly family: string;
  readonly given: readonly string[];
  readonly gender: 'female' | 'male' | 'other';
  readonly birthYear: number;
  readonly language: string;
  readonly country: string;
  readonly city: string;
  readonly street: string;
  readonly phonePrefix: string;
  readonly currency: string;
  readonly hospital: string;
  /** Family name, given name. */
  readonly doctors: readonly (readonly [string, string])[];
  readonly note: string;
  readonly allergen: string;
  readonly plan: string;
}

/** Scripts that systems often spoil: dotted and dotless i, Chinese, right-to-left text, combining accents, emoji with joiners. */
export const SAMPLE_PEOPLE: readonly SamplePerson[] = [
  {
    family: 'Işıkgöz',
    given: ['İlkay', 'Çağrı'],
    gender: 'female',
    birthYear: 1978,
    language: 'tr',
    country: 'TR',
    city: 'Kırıkkale',
    street: 'Örnek Sokağı 7/3',
    phonePrefix: '+90 318 555',
    currency: 'TRY',
    hospital: 'Örnek Şifa Hastanesi',
    doctors: [
      ['Şimşekoğlu', 'Gülçin'],
      ['Yağızer', 'Umut'],
    ],
    note: 'Baş ağrısı üç gündür sürüyor; ışığa duyarlılık var. İlaçtan sonra şikâyeti azaldı.',
    allergen: 'Fındık',
    plan: 'Tuzsuz beslenme, her gün 30 dakika yürüyüş.',
  },
  {
    family: '样本',
    given: ['小雨'],
    gender: 'female',
    birthYear: 1991,
    language: 'zh',
    country: 'CN',
    city: '示例市',
    street: '样例路 88 号',
    phonePrefix: '+86 10 5550',
    currency: 'CNY',
    hospital: '示例人民医院',
    doctors: [
      ['范', '例文'],
      ['郑', '试明'],
    ],
    note: '患者主诉咳嗽两周，夜间加重；无发热。𠮷字为增补平面字符。',
    allergen: '花生',
    plan: '多饮水，两周后复诊。',
  },
  {
    family: 'المثال',
    given: ['نور', 'الهدى'],
    gender: 'male',
    birthYear: 1956,
    language: 'ar',
    country: 'JO',
    city: 'مدينة المثال',
    street: 'شارع العيّنة ١٢',
    phonePrefix: '+962 6 555',
    currency: 'JOD',
    hospital: 'مستشفى العيّنة',
    doctors: [
      ['التجريبي', 'سلمى'],
      ['النموذجي', 'كريم'],
    ],
    note: 'يشكو المريض من ألم في أسفل الظهر منذ أسبوع (VAS 6/10)، ويزداد عند الجلوس.',
    allergen: 'البنسلين',
    plan: 'علاج طبيعي مرتين في الأسبوع.',
  },
  {
    // The accents of this person are combining characters (NFD): they must come back as they went in.
    family: 'De\u0301monstre\u0301-Exemplaire',
    given: ['Zoe\u0308', 'Franc\u0327oise'],
    gender: 'female',
    birthYear: 2016,
    language: 'fr',
    country: 'FR',
    city: 'Exempleville',
    street: '3 bis, rue de l\u2019E\u0301chantillon',
    phonePrefix: '+33 1 99 00',
    currency: 'EUR',
    hospital: 'Ho\u0302pital de l\u2019Exemple',
    doctors: [
      ['Spe\u0301cimen', 'Aure\u0301lie'],
      ['Fictif', 'Loi\u0308c'],
    ],
    note: 'Fie\u0300vre depuis hier soir, gorge irrite\u0301e \u2014 l\u2019enfant boit bien.',
    allergen: 'Prote\u0301ine de lait',
    plan: 'Surveillance de la tempe\u0301rature, contro\u0302le dans 48 h.',
  },
  {
    family: "O'Sample-van der Test",
    given: ['Robin', '"Sunny" 🌻'],
    gender: 'other',
    birthYear: 1999,
    language: 'en',
    country: 'GB',
    city: 'Testbury',
    street: '1 <Example> & Co. Lane',
    phonePrefix: '+44 1632 960',
    currency: 'GBP',
    hospital: 'Example General 🏥',
    doctors: [
      ['Placeholder', 'Ada'],
      ['Dummy', 'Grace'],
    ],
    note: 'Feels 🤒 since Monday; family 👩‍👩‍👧‍👦 is well. Says: "it\'s \\ 10/10"\tafter running. Naïve façade test: ﬁ, ß, İ/i, ı/I.',
    allergen: 'Latex 🧤',
    plan: 'Rest, fluids, review in one week 👍🏽.',
  },
];
