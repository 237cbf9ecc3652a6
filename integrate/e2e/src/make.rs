//! Writes the datasets, once, by Lance's own code: k-means and FSST draw random numbers of their own,
//! so a dataset is never made a second time for one side of a comparison.

use crate::data::{Random, make_name, make_text, make_url, make_vectors, make_words};
use arrow_array::types::Float32Type;
use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int32Array, RecordBatch, RecordBatchIterator,
    StringArray, UInt32Array,
};
use arrow_schema::{DataType, Field};
use lance::Dataset;
use lance::dataset::WriteParams;
use lance::index::DatasetIndexExt;
use lance::index::vector::VectorIndexParams;
use lance_index::IndexType;
use lance_index::scalar::{BuiltinIndexType, InvertedIndexParams, ScalarIndexParams};
use lance_linalg::distance::MetricType;
use std::path::Path;
use std::sync::Arc;

/// A dataset of vectors with an IVF_PQ index.
pub struct Vectors {
    pub name: &'static str,
    pub rows: usize,
    pub dim: usize,
    pub partitions: usize,
    pub sub_vectors: usize,
}

pub const VECTORS: [Vectors; 2] = [
    Vectors { name: "vec128", rows: 500_000, dim: 128, partitions: 64, sub_vectors: 16 },
    Vectors { name: "vec768", rows: 262_144, dim: 768, partitions: 64, sub_vectors: 96 },
];
pub const FLAT: (&str, usize, usize) = ("flat128", 20_000, 128);
pub const TEXTS: usize = 200_000;
pub const STRINGS: usize = 50_000;
pub const VOCABULARY: usize = 20_000;

/// Every dataset, in the order in which they are made.
pub const NAMES: [&str; 5] = ["strings", "vec128", "text", "flat128", "vec768"];

type Made<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Makes one dataset at `directory/NAME`. What is there is removed first.
pub async fn make(directory: &Path, name: &str) -> Made<()> {
    let place = directory.join(name);
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    let path = place.to_str().ok_or("the path is not UTF-8")?;
    match name {
        "strings" => make_strings(path).await,
        "text" => make_texts(path).await,
        "flat128" => {
            let vectors = make_column(make_vectors(3, FLAT.1, FLAT.2), FLAT.2)?;
            write(path, vec![("vector", vectors)]).await.map(|_| ())
        }
        _ => {
            let set = VECTORS.iter().find(|set| set.name == name).ok_or("no such dataset")?;
            make_index(path, set).await
        }
    }
}

async fn write(path: &str, columns: Vec<(&str, ArrayRef)>) -> Made<Dataset> {
    let batch = RecordBatch::try_from_iter(columns)?;
    let rows = batch.num_rows();
    let schema = batch.schema();
    // Writers are given batches of 8,192 rows, as most of them write.
    let batches: Vec<_> =
        (0..rows).step_by(8192).map(|at| Ok(batch.slice(at, 8192.min(rows - at)))).collect();
    let params = WriteParams { max_rows_per_file: rows, ..Default::default() };
    Ok(Dataset::write(RecordBatchIterator::new(batches, schema), path, Some(params)).await?)
}

fn make_column(values: Vec<f32>, dim: usize) -> Made<ArrayRef> {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let values = Arc::new(Float32Array::from(values));
    Ok(Arc::new(FixedSizeListArray::try_new(item, dim as i32, values, None)?))
}

/// Two versions: all rows, and 2 % of them deleted.
async fn make_index(path: &str, set: &Vectors) -> Made<()> {
    let vectors = make_column(make_vectors(1, set.rows, set.dim), set.dim)?;
    let mut random = Random(2);
    let chosen = (0..set.rows).map(|_| random.below(100) as i32);
    let chosen: ArrayRef = Arc::new(Int32Array::from_iter_values(chosen));
    let mut dataset = write(path, vec![("vector", vectors), ("chosen", chosen)]).await?;
    let bitmap = ScalarIndexParams::for_builtin(BuiltinIndexType::Bitmap);
    let name = Some("chosen".to_string());
    dataset.create_index(&["chosen"], IndexType::Bitmap, name, &bitmap, true).await?;
    let params = VectorIndexParams::ivf_pq(set.partitions, 8, set.sub_vectors, MetricType::L2, 50);
    let name = Some("vector".to_string());
    dataset.create_index(&["vector"], IndexType::Vector, name, &params, true).await?;
    let whole = dataset.version().version;
    dataset.delete("chosen IN (7, 61)").await?;
    let deleted = Dataset::open(path).await?.version().version;
    std::fs::write(Path::new(path).join("versions"), format!("{whole} {deleted}\n"))?;
    Ok(())
}

async fn make_texts(path: &str) -> Made<()> {
    let (words, mut random) = (make_words(VOCABULARY), Random(5));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..TEXTS).map(|_| make_text(&mut random, &words, 10, 59)),
    ));
    let mut dataset = write(path, vec![("text", texts)]).await?;
    let params = InvertedIndexParams::default();
    let name = Some("text".to_string());
    dataset.create_index(&["text"], IndexType::Inverted, name, &params, true).await?;
    Ok(())
}

async fn make_strings(path: &str) -> Made<()> {
    let (words, mut random) = (make_words(VOCABULARY), Random(7));
    let mut column = |make: &dyn Fn(&mut Random) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..STRINGS).map(|_| make(&mut random))))
    };
    let columns = vec![
        ("names", column(&|r| make_name(r, &words))),
        ("urls", column(&|r| make_url(r, &words))),
        ("prose", column(&|r| make_prose(r, &words))),
        ("long", column(&|r| make_text(r, &words, 50, 120))),
        ("kinds", column(&|r| words[r.below(100) as usize].repeat(2))),
        ("ints", make_integers()),
    ];
    write(path, columns).await.map(|_| ())
}

/// Whole words, at most 250 bytes: values of 256 bytes and more take another path.
fn make_prose(random: &mut Random, words: &[String]) -> String {
    let mut text = make_text(random, words, 6, 25);
    if text.len() > 250 {
        let end = text[..250].rfind(' ').unwrap_or(250);
        text.truncate(end);
    }
    text
}

fn make_integers() -> ArrayRef {
    let mut random = Random(11);
    Arc::new(UInt32Array::from_iter_values((0..STRINGS).map(|_| random.below(4000) as u32)))
}

/// The query vectors of a set: rows of the same kind, none of them in it.
pub fn make_queries(dim: usize, count: usize) -> Vec<Float32Array> {
    let values = make_vectors(99, count, dim);
    values.chunks_exact(dim).map(|one| Float32Array::from(one.to_vec())).collect()
}

/// Query vectors as one column, for classes that take many rows at once.
pub fn make_rows(seed: u64, rows: usize, dim: usize) -> Made<FixedSizeListArray> {
    let values = make_vectors(seed, rows, dim);
    let rows =
        values.chunks_exact(dim).map(|one| Some(one.iter().map(|v| Some(*v)).collect::<Vec<_>>()));
    Ok(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, dim as i32))
}
