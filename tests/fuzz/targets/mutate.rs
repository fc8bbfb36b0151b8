//! Changes of JSON.

use serde_json::{Map, Value, json};

use super::input::Input;

/// Any small JSON value.
pub fn any_value(input: &mut Input<'_>, depth: usize) -> Value {
    match input.below(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(input.one_in(2)),
        2 => input.number().into(),
        3 => json!(1.5e300),
        4 | 5 => input.text().into(),
        6 => (0..input.below(4)).map(|_| any_value(input, depth - 1)).collect(),
        _ => {
            let fields = (0..input.below(4)).map(|_| (input.text(), any_value(input, depth - 1)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

/// Changes one place of a value: another value, one less, or one more.
pub fn mutate(value: &mut Value, input: &mut Input<'_>) {
    let goes_deeper = !input.one_in(6);
    match value {
        Value::Object(fields) if goes_deeper && !fields.is_empty() => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = input.pick(&keys);
            if input.one_in(8) {
                fields.remove(key);
            } else if let Some(field) = fields.get_mut(key) {
                mutate(field, input);
            }
        }
        Value::Array(items) if goes_deeper && !items.is_empty() => {
            let index = input.below(items.len());
            match input.below(8) {
                6 => drop(items.remove(index)),
                7 => items.push(items[index].clone()),
                _ => mutate(&mut items[index], input),
            }
        }
        other => *other = any_value(input, 2),
    }
}
