//! Whole queries in Lance, one after the other.

use crate::classes::{Class, Kind, QUERIES, TAKEN, find, find_dim};
use crate::data::{Random, make_words};
use crate::make::{VOCABULARY, make_queries, make_rows};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type, UInt64Type};
use arrow_array::{Array, FixedSizeListArray, Float32Array, RecordBatch};
use arrow_schema::DataType;
use futures::TryStreamExt;
use lance::Dataset;
use lance::dataset::ProjectionRequest;
use lance::dataset::builder::DatasetBuilder;
use lance::dataset::scanner::Scanner;
use lance::index::DatasetIndexExt;
use lance_index::scalar::FullTextSearchQuery;
use lance_index::scalar::inverted::query::{FtsQuery, MatchQuery, Operator};
use lance_index::vector::kmeans::compute_partitions_arrow_array;
use lance_linalg::distance::DistanceType;
use lar_serve::{Answer, Hasher, Program};
use std::collections::HashMap;
use std::path::Path;
use tokio::runtime::Runtime;

/// What a query leaves behind.
pub enum Raw {
    Batches(Vec<RecordBatch>),
    Partitions(Vec<Option<u32>>, Vec<Option<f32>>),
}

/// The inputs of one class, all made before it is asked for.
enum Inputs {
    Vectors(Vec<Float32Array>),
    Texts(Vec<FullTextSearchQuery>),
    Places(Vec<Vec<u64>>),
    Assign(FixedSizeListArray, Vec<FixedSizeListArray>),
    Nothing,
}

/// Open datasets and the inputs of the classes that will be asked for.
pub struct Lance {
    runtime: Runtime,
    open: HashMap<&'static str, (Class, Option<Dataset>, Inputs)>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Lance {
    /// Opens what the classes need and warms the indices.
    pub fn open(runtime: Runtime, data: &str, names: &[String]) -> Result<Self, String> {
        let mut open = HashMap::new();
        let mut datasets: HashMap<(&str, bool), Dataset> = HashMap::new();
        for name in names {
            let class = find(name)?;
            let deleted = matches!(class.kind, Kind::Nearest { deleted: true, .. });
            let key = (class.data, deleted);
            if !class.data.is_empty() && !datasets.contains_key(&key) {
                let dataset = runtime.block_on(open_dataset(Path::new(data), class, deleted))?;
                datasets.insert(key, dataset);
            }
            open.insert(class.name, (class, datasets.get(&key).cloned(), make_inputs(class)?));
        }
        Ok(Self { runtime, open })
    }
}

async fn open_dataset(data: &Path, class: Class, deleted: bool) -> Result<Dataset, String> {
    let place = data.join(class.data);
    let path = place.to_str().ok_or("the path is not UTF-8")?;
    let mut builder = DatasetBuilder::from_uri(path);
    if let Ok(versions) = std::fs::read_to_string(place.join("versions")) {
        let version = versions.split_whitespace().nth(usize::from(deleted));
        builder = builder.with_version(version.and_then(|v| v.parse().ok()).ok_or("bad versions")?);
    }
    let dataset = builder.load().await.map_err(text)?;
    let indices: &[&str] = match class.kind {
        Kind::Nearest { .. } => &["vector", "chosen"],
        Kind::Text { .. } => &["text"],
        _ => &[],
    };
    for index in indices {
        dataset.prewarm_index(index).await.map_err(text)?;
    }
    Ok(dataset)
}

fn make_inputs(class: Class) -> Result<Inputs, String> {
    Ok(match class.kind {
        Kind::Nearest { .. } | Kind::Flat => {
            Inputs::Vectors(make_queries(find_dim(class.data), QUERIES))
        }
        Kind::Text { words, all } => Inputs::Texts(make_text_queries(words, all)),
        Kind::Take => Inputs::Places(make_places()),
        Kind::Scan => Inputs::Nothing,
        Kind::Assign => {
            let rows: Result<Vec<_>, _> = (0..64).map(|i| make_rows(200 + i, 256, 128)).collect();
            Inputs::Assign(make_rows(77, 1024, 128).map_err(text)?, rows.map_err(text)?)
        }
    })
}

fn make_text_queries(words: usize, all: bool) -> Vec<FullTextSearchQuery> {
    let (vocabulary, mut random) = (make_words(VOCABULARY), Random(31 + words as u64));
    let mut pick = || vocabulary[random.rank(2000) as usize].as_str();
    let operator = if all { Operator::And } else { Operator::Or };
    (0..QUERIES)
        .map(|_| {
            let terms: Vec<&str> = (0..words).map(|_| pick()).collect();
            let query = MatchQuery::new(terms.join(" "))
                .with_column(Some("text".into()))
                .with_operator(operator);
            FullTextSearchQuery::new_query(FtsQuery::Match(query)).limit(Some(10))
        })
        .collect()
}

fn make_places() -> Vec<Vec<u64>> {
    let mut random = Random(41);
    (0..QUERIES).map(|_| (0..100).map(|_| random.below(TAKEN as u64)).collect()).collect()
}

/// The scan that answers query `number` of a class.
fn make_scanner(
    class: &Class,
    dataset: &Dataset,
    inputs: &Inputs,
    number: usize,
) -> lance::Result<Scanner> {
    let mut scan = dataset.scan();
    match (&class.kind, inputs) {
        (Kind::Nearest { nprobes, k, below, .. }, Inputs::Vectors(vectors)) => {
            scan.nearest("vector", &vectors[number % QUERIES], *k)?.nprobes(*nprobes);
            if let Some(below) = below {
                scan.filter(&format!("chosen < {below}"))?.prefilter(true);
            }
            scan.project(&["_distance"])?.with_row_id();
        }
        (Kind::Flat, Inputs::Vectors(vectors)) => {
            scan.nearest("vector", &vectors[number % QUERIES], 10)?
                .use_index(false)
                .distance_metric(DistanceType::Cosine);
            scan.project(&["_distance"])?.with_row_id();
        }
        (Kind::Text { .. }, Inputs::Texts(queries)) => {
            scan.full_text_search(queries[number % QUERIES].clone())?;
            scan.project(&["_score"])?.with_row_id();
        }
        _ => {
            scan.project(&[class.column])?;
        }
    }
    Ok(scan)
}

async fn answer_one(
    class: &Class,
    dataset: &Dataset,
    inputs: &Inputs,
    number: usize,
) -> lance::Result<Vec<RecordBatch>> {
    if let Inputs::Places(places) = inputs {
        let columns = ProjectionRequest::from_columns([class.column], dataset.schema());
        return Ok(vec![dataset.take(&places[number % QUERIES], columns).await?]);
    }
    make_scanner(class, dataset, inputs, number)?.try_into_stream().await?.try_collect().await
}

impl Program for Lance {
    type Raw = Raw;

    fn run(&mut self, class: &str, first: usize, count: usize) -> Result<Vec<Raw>, String> {
        let (class, dataset, inputs) = self.open.get(class).ok_or("this class is not open")?;
        (first..first + count)
            .map(|number| {
                if let Inputs::Assign(centroids, rows) = inputs {
                    let rows = &rows[number % rows.len()];
                    let (ids, dists) =
                        compute_partitions_arrow_array(centroids, rows, DistanceType::L2)
                            .map_err(text)?;
                    return Ok(Raw::Partitions(ids, dists));
                }
                let dataset = dataset.as_ref().ok_or("no dataset")?;
                let answer = answer_one(class, dataset, inputs, number);
                self.runtime.block_on(answer).map(Raw::Batches).map_err(text)
            })
            .collect()
    }

    fn answer(&self, _class: &str, raw: &Raw) -> Result<Answer, String> {
        match raw {
            Raw::Partitions(ids, dists) => {
                let mut hash = Hasher::default();
                for (id, dist) in ids.iter().zip(dists) {
                    hash.add(&id.map_or([0; 4], u32::to_le_bytes));
                    hash.add(&dist.map_or([0; 4], f32::to_le_bytes));
                }
                Ok(Answer::Values(hash))
            }
            Raw::Batches(batches) => describe_batches(batches),
        }
    }

    fn plan(&mut self, class: &str, query: usize) -> Result<String, String> {
        let (class, dataset, inputs) = self.open.get(class).ok_or("this class is not open")?;
        let dataset = dataset.as_ref().ok_or("this class has no plan")?;
        let scan = make_scanner(class, dataset, inputs, query).map_err(text)?;
        self.runtime.block_on(scan.analyze_plan()).map_err(text)
    }
}

fn describe_batches(batches: &[RecordBatch]) -> Result<Answer, String> {
    let scored = batches.first().and_then(|batch| {
        let schema = batch.schema();
        ["_distance", "_score"].into_iter().find(|name| schema.index_of(name).is_ok())
    });
    let Some(score) = scored else { return hash_values(batches).map(Answer::Values) };
    let mut rows = Vec::new();
    for batch in batches {
        let column = |name: &str| batch.column_by_name(name).ok_or(format!("no column {name}"));
        let ids = column("_rowid")?.as_primitive::<UInt64Type>();
        let scores = column(score)?.as_primitive::<Float32Type>();
        rows.extend(ids.values().iter().zip(scores.values()).map(|(id, s)| (*id, s.to_bits())));
    }
    Ok(Answer::Rows(rows))
}

fn hash_values(batches: &[RecordBatch]) -> Result<Hasher, String> {
    let mut hash = Hasher::default();
    for column in batches.iter().flat_map(RecordBatch::columns) {
        match column.data_type() {
            DataType::Utf8 => {
                column.as_string::<i32>().iter().for_each(|v| hash.add(v.unwrap_or("").as_bytes()));
            }
            DataType::UInt32 => {
                let values = column.as_primitive::<UInt32Type>().values();
                values.iter().for_each(|v| hash.add(&v.to_le_bytes()));
            }
            other => return Err(format!("no digest of a column of {other}")),
        }
    }
    Ok(hash)
}
