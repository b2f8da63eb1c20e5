//! Writing many values at once.

use super::training::Optimizer;
use crate::{
    engine::{Engine, transfer::Writer},
    error::Error,
    layout::field::Field,
};

impl<E: Engine> Optimizer<E> {
    /// What writes to this optimizer.
    pub(crate) fn writer(&self) -> Writer<'_, E> {
        Writer::new(&self.engine)
    }

    /// Writes one field of a tensor, and with the weights their half-width copy.
    pub(crate) fn write_field(
        &self,
        writer: &mut Writer<'_, E>,
        field: Field<'_>,
        tensor: usize,
        values: &[f32],
    ) -> Result<(), Error> {
        let target = self.place(field, tensor)?;
        writer.values(&target.slices, values, target.half)?;
        if field == Field::Weights && self.plan.options.half_weights.is_some() {
            let copy = self.place(Field::HalfWeights, tensor)?;
            writer.values(&copy.slices, values, copy.half)?;
        }
        Ok(())
    }

    /// Writes new weights of a tensor, as [`upload`](Self::upload) does.
    pub(crate) fn write_weights(
        &self,
        writer: &mut Writer<'_, E>,
        tensor: usize,
        values: &[f32],
    ) -> Result<(), Error> {
        self.write_field(writer, Field::Weights, tensor, values)?;
        if self.inits_with_weights(tensor) {
            self.write_field(writer, Field::SlowWeights, tensor, values)?;
        }
        Ok(())
    }
}
