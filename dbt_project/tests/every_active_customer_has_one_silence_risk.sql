-- the same customers, and a probability for all of them as soon as the past teaches anything
with active as (select user_id from {{ ref('mart_customers') }} where is_active),

risks as (select user_id, silence_probability from {{ ref('mart_silence_risk') }}),

learned as (select count(*) as cells from {{ ref('mart_silence_table') }})

select active.user_id, risks.user_id as risk_user_id, risks.silence_probability
from active
full outer join risks on active.user_id = risks.user_id
cross join learned
where active.user_id is null
    or risks.user_id is null
    or (risks.silence_probability is null) <> (learned.cells = 0)
