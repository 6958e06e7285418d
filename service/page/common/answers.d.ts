/**
 * What the service answers, as its OpenAPI says it. Made by `python -m tests.service.page.page_types`, not by hand.
 * For the type checker alone: no page loads it, and the wheel is without it.
 */
declare namespace Answers {
  interface AboutAnswer {
    lake: string;
    snapshot: number;
    committed_at: string;
    rows: number;
    format: number;
    made_by: string;
    model: string;
    dim: number;
    fingerprint: Record<string, string | number>;
    size_bytes: number;
    segments: number;
    sources: SourceFacts[];
    other_rows: number;
    formats: AboutFormatFacts[];
    skipped: SkippedFacts;
    snapshots: SnapshotFacts[];
    problems: string[];
  }
  interface AboutFormatFacts {
    format: string | null;
    rows: number;
  }
  interface ActFacts {
    act: number;
    name: string;
    is_add: boolean;
    rows: number;
    by: string;
    at: string;
  }
  interface Agreement {
    labellers: number;
    rows: number;
    agreed: number;
    alpha: number | null;
    pairs: Pair[];
    conflicts: Conflict[];
    settled: Settled[];
    alike: string[][];
    unnamed_differ: number;
  }
  interface AnswersUsed {
    count: number;
    yes: number;
    no: number;
  }
  interface ApartFacts {
    auc: number;
    p: number;
    permutations: number;
  }
  interface AppliedAnswer {
    refused: false;
    filter: string;
    version: number;
    snapshot: number;
    rows: number;
    kept: number;
    asked: number;
    dropped: number;
    thresholds: Thresholds;
    promise: Promise;
    measured: Record<string, any>;
    labels: AnswersUsed | null;
  }
  type ApplyAnswer = AppliedAnswer | RefusedAnswer;
  interface AuditProgress {
    number: number;
    answered: number;
    planned: number | null;
    holds: boolean;
    still_needed: number | null;
    more: More | null;
    budget: number | null;
    rows: number;
    drops: number | null;
    sure: number | null;
    recall_shown: number | null;
    precision_shown: number | null;
    needs_ask: boolean;
    label_price: number;
    every: string | null;
    groups: GroupFound[];
    scene: string | null;
    scenes_shown: number | null;
    follows: Follows | null;
  }
  interface CheapestLine {
    dropped: number;
    labels: number;
    looks: number;
    cost: number;
  }
  interface Column {
    name: string;
    type: string;
    stored: boolean;
  }
  interface ColumnsAnswer {
    snapshot: number;
    columns: Column[];
  }
  interface ComparisonAnswer {
    snapshot: number;
    seed: number;
    a: SideFacts;
    b: SideFacts;
    apart: ApartFacts;
    clusters: DifferenceFacts[];
    clusters_counted: number;
    phrases: DifferenceFacts[];
    phrases_counted: number;
  }
  interface Conflict {
    row_id: number;
    uri: string | null;
    labellers: Record<string, string>;
  }
  interface DamagedFilter {
    name: string;
    message: string;
  }
  interface DecideAnswer {
    filter: string;
    version: number;
    thresholds: Thresholds;
    promised: false;
    note: string;
    images: ImageDecided[];
    counts: DecideCounts;
    drift: DriftFound;
  }
  interface DecideCounts {
    keep: number;
    ask: number;
    drop: number;
    outside: number;
    unreadable: number;
  }
  interface DecidedFacts {
    filter: string;
    version: number;
    decision: ("keep" | "ask" | "drop" | "undecided")[];
    undecided: number;
  }
  interface DeletedAnswer {
    deleted: string;
    kept_in: string;
  }
  interface Depth {
    answers: number;
    top: number;
    low: number;
    high: number;
    relevant: number;
  }
  interface DifferenceFacts {
    words: string;
    in_a: number;
    of_a: number;
    in_b: number;
    of_b: number;
    share_a: number;
    share_b: number;
    p: number;
    q: number;
    examples: number[];
  }
  interface DoctorAnswer {
    snapshot: number;
    ok: boolean;
    findings: FindingFacts[];
  }
  interface DriftFound {
    warning: boolean;
    sentence: string;
    images: number;
    different: number;
    distance: number | null;
    p_value: number | null;
    above_line_then: number;
    above_line_now: number | null;
  }
  interface Embedding {
    object?: "embedding";
    index: number;
    embedding: number[] | string;
  }
  interface EmbeddingsAnswer {
    object?: "list";
    data: Embedding[];
    model: string;
    usage: Usage;
  }
  interface EndedFacts {
    began_at: string;
    ended_at: string;
    failure: string | null;
    new: number | null;
    changed: number | null;
    moved: number | null;
    gone: number | null;
    unchanged: number | null;
    skipped: number | null;
    in_motion: number | null;
    rows: number | null;
    interrupted: boolean | null;
    problems: string[] | null;
    notes: string[] | null;
  }
  interface ErrorAnswer {
    error: ErrorBody;
  }
  interface ErrorBody {
    code: string;
    message: string;
    field: string | null;
  }
  interface Estimate {
    filter: string;
    version: number;
    rows: number;
    relevant: number;
    at_least: number;
    at_most: number;
    confidence: number;
    audit: number;
    labels: number;
  }
  interface Facet {
    name: string;
    kind: "values" | "lists" | "range";
    rows: number;
    nulls: number;
    values?: FacetValue[] | null;
    more_values?: number | null;
    bins?: FacetBin[] | null;
  }
  interface FacetBin {
    low: number | string;
    high: number | string;
    rows: number;
  }
  interface FacetValue {
    value: string | boolean;
    rows: number;
  }
  interface FacetsAnswer {
    snapshot: number;
    rows: number;
    facets: Facet[];
    places: PlacesFacet[];
  }
  interface FilterAnswer {
    name: string;
    version: number;
    reason: string;
    keep: Record<string, any>;
    drop: Record<string, any>;
    where: string | null;
    target: Record<string, any>;
    snapshot: number;
    versions: number[];
    progress: Progress;
    applied: InForce | null;
    [more: string]: any;
  }
  interface FilterFacts {
    name: string;
    version: number;
    stage: "draft" | "teach" | "audit" | "applied";
    target: Target;
    where: string | null;
    snapshot: number;
    labels: number;
    created_at: string;
    applied: InForce | null;
  }
  interface FiltersAnswer {
    filters: FilterFacts[];
    problems: DamagedFilter[];
  }
  interface FindingFacts {
    what: string;
    ok: boolean;
    detail: string;
  }
  interface Follows {
    came: number;
    gone: number;
    labels_before: number;
  }
  interface FormatsAnswer {
    formats: FormatsFormatFacts[];
  }
  interface FormatsFormatFacts {
    name: string;
    title: string;
    writes: string;
    reads: string;
    downloads: boolean;
    copies: boolean;
  }
  interface GroupFacts {
    group: number;
    size: number;
    row_ids: number[];
    others: string;
  }
  interface GroupFound {
    name: string | null;
    rows: number;
    labels: number;
    holds: boolean;
  }
  interface GroupsAnswer {
    snapshot: number;
    made: GroupsMadeFacts | null;
    groups: GroupFacts[];
    next_offset: number | null;
  }
  interface GroupsMadeFacts {
    snapshot: number;
    made_at: string;
    bits: number;
    threshold: number;
    rows: number;
    groups: number;
    copies: number;
    since: number;
    others: string;
  }
  interface Hit {
    row_id: number;
    score: number;
    z: number | null;
    uri: string;
    width_px: number | null;
    height_px: number | null;
    columns: Record<string, any>;
    collapsed?: number[] | null;
    span?: Span | null;
    explain?: Share[] | null;
  }
  interface ImageDecided {
    name: string;
    decision: "keep" | "ask" | "drop" | null;
    score: number | null;
    probability: number | null;
    label: "yes" | "no" | null;
    error: string | null;
  }
  interface InForce {
    version: number;
    promise: Promise;
    smaller: string | null;
    undecided: number | null;
  }
  interface LabelAnswer {
    saved: number;
    seqs: number[];
    problems: Problem[];
    passed_over: number[];
    progress: Progress;
  }
  interface LabelsBy {
    labeller: string;
    given: number;
    teach: number;
    audit: number;
    picked: number;
    settle: number;
    yes: number;
    no: number;
    skip: number;
  }
  interface LabelsSpent {
    given: number;
    teach: number;
    audit: number;
    picked: number;
    settle: number;
    yes: number;
    no: number;
    skip: number;
    undone: number;
    by: LabelsBy[];
  }
  interface LakeFacts {
    name: string;
    rows: number;
    snapshot: number;
    model: string;
    dim: number;
    committed_at: string;
    problems: string[];
  }
  interface LakesAnswer {
    lakes: LakeFacts[];
  }
  interface ManyAnswer {
    answers: (SearchAnswer | ErrorAnswer)[];
  }
  interface Metadata {
    id: number;
    metadata: Record<string, any>;
  }
  interface More {
    labels: number;
    drop: number;
  }
  interface NearestKnown {
    row_id: number | null;
    image: string | null;
    cosine: number;
  }
  interface NextAnswer {
    filter: string;
    version: number;
    purpose: "teach" | "audit";
    rows: RowToLabel[];
    progress: Progress;
    scenes: number[] | null;
    with_others: number;
  }
  interface Nothing {
    message: string;
    rows: number;
    where: number | null;
    filter: number | null;
    passing: number;
    best: Hit | null;
  }
  interface Offer {
    recall: number | null;
    precision: number | null;
    confidence: number;
    ask: boolean;
    kept: number;
    asked: number;
    dropped: number;
  }
  interface OffersAnswer {
    filter: string;
    version: number;
    offers: Offer[];
    tighter: Tighter[];
    scene: string | null;
  }
  interface Pair {
    first: string;
    second: string;
    rows: number;
    agreed: number;
    kappa: number | null;
  }
  interface PicksAnswer {
    row_ids: number[];
    by: string;
    seed: number;
    snapshot: number;
    rows: number;
    compared: number;
    labelled: number;
    unsure_of: string | null;
    wanted: WantedFacts[];
    reach: ReachFacts | null;
  }
  interface PlacesFacet {
    latitude: string;
    longitude: string;
    rows: number;
    nulls: number;
    box: [number, number, number, number] | null;
    across: number;
    down: number;
    cells: [number, number, number][];
  }
  interface PlanAnswer {
    rows: number;
    at_least: number;
    at_most: number | null;
    confidence: number | null;
    options: PlanOption[];
    costs: PlanCosts | null;
    groups: number | null;
    scenes: PlanScenes | null;
  }
  interface PlanCosts {
    prices: Prices;
    annotate_everything: number;
    label_everything: number;
    line: CheapestLine | null;
    cheapest: "line" | "label_everything" | "annotate_everything";
  }
  interface PlanOption {
    dropped: number;
    kept: number;
    recall: number;
    labels: number | null;
    cost: number | null;
  }
  interface PlanScenes {
    column: string;
    scenes: number;
    options: PlanOption[];
  }
  interface Prices {
    annotation: number;
    miss: number | null;
    label: number | null;
    currency: string;
  }
  interface Problem {
    index: number;
    message: string;
  }
  interface Progress {
    labels: number;
    yes: number;
    no: number;
    skipped: number;
    conflicts: number;
    purpose: "teach" | "audit";
    audit: AuditProgress | null;
    stage: "draft" | "teach" | "audit" | "applied";
  }
  interface ProgressAnswer {
    filter: string;
    version: number;
    progress: Progress;
  }
  interface Promise {
    recall: number | null;
    precision: number | null;
    confidence: number;
    assumption: string | null;
    both: number | null;
    every: string | null;
    scenes: number | null;
    scene: string | null;
  }
  interface Ranking {
    filter: string;
    version: number;
    rows: number;
    found: number;
    now: Depth | null;
    history: Depth[];
    advice: "teach" | "check";
    because: string;
  }
  interface ReachFacts {
    mean: number;
    low: number;
    high: number;
    counted: number;
    random_mean: number;
    random_needed: number | null;
    random_tried: number;
    within: WithinFacts | null;
  }
  interface Ready {
    ready: boolean;
    lakes: Record<string, string>;
    engines?: Record<string, string> | null;
  }
  interface RefusedAnswer {
    refused: true;
    reason: string;
    can_promise: Record<string, number> | null;
    labels_missing: number | null;
    filter: string;
    version: number;
  }
  interface Row {
    row_id: number;
    uri: string;
    width_px: number | null;
    height_px: number | null;
    columns: Record<string, any>;
  }
  interface RowAnswer {
    snapshot: number;
    row: Row;
  }
  interface RowDecided {
    filter: string;
    version: number | null;
    row_id: number;
    decision: "keep" | "ask" | "drop" | null;
    score: number | null;
    probability: number | null;
    label_then: string | null;
    label: string | null;
    labellers: Record<string, string>;
  }
  interface RowSampled {
    row_id: number;
    uri: string;
    width_px: number;
    height_px: number;
    score: number;
    probability: number | null;
    columns: Record<string, any>;
    label: string | null;
    nearest_yes: NearestKnown | null;
    nearest_no: NearestKnown | null;
  }
  interface RowToLabel {
    row_id: number;
    uri: string;
    width_px: number;
    height_px: number;
    score: number | null;
    probability: number | null;
    columns: Record<string, any>;
  }
  interface RowsAnswer {
    snapshot: number;
    rows: Row[];
    next_cursor: string | null;
    decided?: DecidedFacts | null;
  }
  interface SamplesAnswer {
    filter: string;
    version: number;
    decision: "keep" | "ask" | "drop";
    order: "line" | "random" | "people";
    of: number;
    by_people: number;
    rows: RowSampled[];
  }
  interface SavedFacts {
    name: string;
    query: Record<string, any>;
    by: string;
    at: string;
  }
  interface ScoreCounts {
    filter: string;
    version: number;
    snapshot: number;
    rows: number;
    thresholds: Thresholds;
    low: number;
    step: number;
    keep: number[];
    ask: number[];
    drop: number[];
    people: number[];
  }
  interface ScoresAnswer {
    snapshot: number;
    unit: "z" | "score";
    rows: number;
    low: number;
    step: number;
    counts: number[];
    best: number | null;
    chance: number | null;
    min_z: number | null;
    above: number | null;
  }
  interface SearchAnswer {
    snapshot: number;
    hits: Hit[];
    next_cursor: string | null;
    decided?: DecidedFacts | null;
    searched?: SearchedFacts | null;
    hint?: string | null;
    nothing?: Nothing | null;
  }
  interface SearchedFacts {
    exact: boolean;
    recall_at_10?: Record<string, number> | null;
    recall_at_100?: Record<string, number> | null;
    engine?: string | null;
    candidates?: number | null;
    why?: string | null;
  }
  interface SearchesAnswer {
    searches: SavedFacts[];
  }
  interface Session {
    key_needed: boolean;
    signed_in: boolean;
    name: string | null;
    scopes: string[];
  }
  interface Settled {
    row_id: number;
    uri: string | null;
    labellers: Record<string, string>;
    label: string;
    by: string;
  }
  interface Share {
    kind: "text" | "image" | "row" | "vector";
    value: string | number;
    weight: number;
    cosine: number;
    share: number;
  }
  interface SideFacts {
    where: string | null;
    rows: number;
    drawn: number;
    succession: SuccessionFacts | null;
  }
  interface SkippedFacts {
    files: number;
    reasons: SkippedReason[];
    more_reasons: number;
    shown: SkippedFile[];
  }
  interface SkippedFile {
    uri: string;
    reason: string;
    when: string;
  }
  interface SkippedReason {
    reason: string;
    files: number;
  }
  interface SnapshotFacts {
    snapshot: number;
    committed_at: string;
    rows: number;
  }
  interface SourceFacts {
    uri: string;
    kind: string | null;
    layout: string | null;
    columns: string | null;
    frames: string | null;
    rows: number;
  }
  interface Span {
    from_us: number;
    to_us: number;
    frames: number;
  }
  interface StageFacts {
    name: string;
    done: number;
    total: number | null;
    more: boolean;
    skipped: number;
    unit: string | null;
    rate: number | null;
    left_s: number | null;
  }
  interface StrangeAnswer {
    snapshot: number;
    seed: number;
    rows: number;
    compared_with: number;
    labelled: number | null;
    usual: number;
    found: number;
    images: StrangeFacts[];
    groups: StrangeGroupFacts[];
  }
  interface StrangeFacts {
    row_id: number;
    cosine: number;
    nearest: number;
    nearest_cosine: number;
    p: number;
    q: number;
    group: number;
  }
  interface StrangeGroupFacts {
    words: string;
    row_ids: number[];
  }
  interface SuccessionFacts {
    next: number;
    tenth: number;
    hangs_together: boolean;
  }
  interface Suggestion {
    text: string;
    query: string | null;
    where: string | null;
  }
  interface SuggestionsAnswer {
    snapshot: number;
    suggestions: Suggestion[];
  }
  interface SyncAnswer {
    lake: string;
    state: string;
    by: string | null;
    since: string | null;
    ours: boolean;
    stage: StageFacts | null;
    ended: EndedFacts | null;
  }
  interface TagFacts {
    name: string;
    rows: number;
  }
  interface TagUndoneAnswer {
    undone: ActFacts | null;
  }
  interface TaggedAnswer {
    name: string;
    rows: number;
    missing: number[];
    missing_count: number;
    act: number | null;
  }
  interface TagsAnswer {
    tags: TagFacts[];
    last: ActFacts | null;
  }
  interface Target {
    recall: number | null;
    precision: number | null;
    confidence: number;
  }
  interface TeamAnswer {
    filter: string;
    labels: LabelsSpent;
    agreement: Agreement;
  }
  interface Thresholds {
    keep: number;
    drop: number;
  }
  interface Tighter {
    recall: number | null;
    precision: number | null;
    confidence: number;
    labels: number | null;
    dropped: number | null;
    own_audit: boolean;
  }
  interface UndoAnswer {
    undone: Undone | null;
    rows: Undone[];
    progress: Progress;
  }
  interface Undone {
    row_id: number;
    label: string;
    labeller: string;
    seq: number;
  }
  interface Usage {
    prompt_tokens?: number;
    total_tokens?: number;
  }
  interface WantedFacts {
    where: string;
    count: number;
    picked: number;
  }
  interface WithinFacts {
    cosine: number;
    share: number;
    low: number;
    high: number;
    random_share: number;
  }
}
